import { failure } from '../../workflows/model/failure.ts';

/** How much of something a site has while it serves, and while it waits: tasks, pods. */
export interface Capacity {
  desired: number;
  standby: number;
}

/** What a site has of what it shall have, in per cent: 0 for one that waits, 100 for all or more. */
export function capacityOf({ desired, standby }: Capacity, count: number): number {
  if (count <= standby) return 0;
  return count >= desired ? 100 : Math.round((count * 10_000) / desired) / 100;
}

/** So many make this share. ConfigInvalid when no whole number does. */
export function countFor(switchName: string, use: { name: string; site: Capacity; share: number }): number {
  const { name, site, share } = use;
  if (share === 0) return site.standby;
  const count = Math.round((site.desired * share) / 100);
  if (capacityOf(site, count) === share) return count;
  throw failure('ConfigInvalid', `switch ${switchName}: ${share} % of site ${name} is no whole number`, {
    ...{
      place: `switches.${switchName}.sites.${name}.desired`,
      expected: `a share of ${site.desired}`,
      found: `${share} %`,
    },
    hint: 'move all of it, or none',
  });
}
