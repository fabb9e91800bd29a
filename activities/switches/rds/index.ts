import { openLater } from '../later.ts';
import { wordsBySite } from '../sites.ts';
import { defineSwitch } from '../switch.ts';
import type { RdsOptions, RdsSite } from './options.ts';
import { rdsSchema } from './options.ts';

/** Which site has the writer of a database of RDS. It cannot be stopped: there is always one. */
export const rdsSwitch = defineSwitch<RdsOptions>({
  kind: 'rds',
  schema: rdsSchema,
  describe: ({ way, cluster, region, sites }) =>
    `${way} ${
      cluster ??
      Object.values(sites)
        .map(({ instance }) => instance)
        .join(', ')
    } in ${region}`,
  weighted: () => false,
  sites: ({ sites }) => Object.keys(sites),
  stops: () => false,
  words: (options) => ({ up: wordsBySite(options.sites, (site) => becomes(options, site)) }),
  open: (name, options, run) =>
    openLater(async () => {
      const { RdsSession } = await import('./session.ts');
      return new RdsSession(name, options, run);
    }),
});

function becomes({ way, cluster, allowDataLoss }: RdsOptions, { instance }: RdsSite): string {
  if (way === 'aurora') return `${instance} becomes the writer of ${cluster}`;
  if (way === 'replica') return `${instance} is promoted, for good`;
  const how = allowDataLoss ? ', without what it has not received' : '';
  return `${instance} becomes the primary of global cluster ${cluster}${how}`;
}
