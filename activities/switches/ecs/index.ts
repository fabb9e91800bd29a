import { openLater } from '../later.ts';
import { wordsBySite } from '../sites.ts';
import { defineSwitch } from '../switch.ts';
import type { EcsOptions, EcsSite } from './options.ts';
import { ecsSchema } from './options.ts';

function placeOf({ region, cluster, service }: Pick<EcsSite, 'region' | 'cluster' | 'service'>): string {
  return `${service} of ${cluster} in ${region}`;
}

/** Tasks of a service in each site. 100 % of a site is all that it shall have; traffic itself goes where other switches say. */
export const ecsSwitch = defineSwitch<EcsOptions>({
  kind: 'ecs',
  schema: ecsSchema,
  describe: ({ sites }) =>
    Object.entries(sites)
      .map(([name, site]) => `${name}: ${placeOf(site)}`)
      .join(', '),
  weighted: () => false,
  sites: ({ sites }) => Object.keys(sites),
  overlaps: () => true,
  words: ({ sites }) => ({
    up: wordsBySite(
      sites,
      ({ desired, minimum, ...site }) =>
        `${desired} tasks of ${placeOf(site)}${minimum === undefined ? '' : `, ${minimum} are enough`}`,
    ),
    down: wordsBySite(sites, ({ standby, ...site }) => `${standby} tasks of ${placeOf(site)}`),
  }),
  open: (name, options, run) =>
    openLater(async () => {
      const { EcsSession } = await import('./session.ts');
      return new EcsSession(name, options, run);
    }),
});
