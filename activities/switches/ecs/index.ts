import { openLater } from '../later.ts';
import { defineSwitch } from '../switch.ts';
import type { EcsOptions } from './options.ts';
import { ecsSchema } from './options.ts';

/** Tasks of a service in each site. 100 % of a site is all that it shall have; traffic itself goes where other switches say. */
export const ecsSwitch = defineSwitch<EcsOptions>({
  kind: 'ecs',
  schema: ecsSchema,
  describe: ({ sites }) =>
    Object.entries(sites)
      .map(([name, { region, cluster, service }]) => `${name}: ${service} of ${cluster} in ${region}`)
      .join(', '),
  weighted: () => false,
  sites: ({ sites }) => Object.keys(sites),
  overlaps: () => true,
  open: (name, options, run) =>
    openLater(async () => {
      const { EcsSession } = await import('./session.ts');
      return new EcsSession(name, options, run);
    }),
});
