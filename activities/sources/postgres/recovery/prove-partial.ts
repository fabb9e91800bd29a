import { ALWAYS_KEPT, describeLeftOut } from '../../../../workflows/model/partial.ts';
import type { Check, RecoveryPlan, ReplayEvidence } from '../../../../workflows/model/recovery.ts';
import type { Probe } from '../options.ts';
import { nameAtTarget, openHollow } from './close-hollow.ts';
import { withRecovered } from './session.ts';

/** Nobody may take a copy of one database for that of a cluster: what it is stands among the checks. */
export async function onlyChosen(plan: RecoveryPlan, replay: ReplayEvidence): Promise<Check[]> {
  const { partial } = plan;
  if (!partial) return [];
  const { name, open } = await withRecovered(plan, {}, async (client) => ({
    name: await nameAtTarget(client, plan),
    open: await openHollow(client, plan),
  }));
  const others = partial.whole === undefined ? 'without content and closed' : `whole: ${partial.whole}`;
  const { passedOver = 0 } = replay;
  return [
    {
      name: `only database ${partial.database} is restored and read`,
      ok: open.length === 0,
      expected: 'no way into a database without content',
      found:
        open.length > 0 ? `open: ${open.join(', ').slice(0, 300)}` : `${name}; ${describeLeftOut(partial.leftOut)}`,
      detail: `the others are ${others}; ${passedOver} references of the WAL to their pages were passed over`,
    },
  ];
}

/** Questions to databases that are not read are not asked, and that is said. */
export function askable(
  { partial }: RecoveryPlan,
  probes: readonly Probe[],
  database: string,
): { asked: readonly Probe[]; checks: Check[] } {
  if (!partial) return { asked: probes, checks: [] };
  const read = new Set([...ALWAYS_KEPT, partial.database]);
  const isRead = (probe: Probe): boolean => read.has(probe.database ?? database);
  const asked = probes.filter(isRead);
  if (asked.length === probes.length) return { asked, checks: [] };
  return {
    asked,
    checks: [
      {
        name: 'probes not asked',
        ok: true,
        expected: `only those of other databases than ${partial.database}`,
        found: `${probes.length - asked.length} of ${probes.length}`,
      },
    ],
  };
}
