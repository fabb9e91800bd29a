import { openLater } from '../later.ts';
import { defineSwitch } from '../switch.ts';
import type { RdsOptions } from './options.ts';
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
  open: (name, options, run) =>
    openLater(async () => {
      const { RdsSession } = await import('./session.ts');
      return new RdsSession(name, options, run);
    }),
});
