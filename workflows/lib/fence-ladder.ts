import { sleep } from '@temporalio/workflow';
import type { FenceStep } from '../model/cluster.ts';
import { describeFence } from '../model/failover-plan.ts';
import type { FenceResult } from '../model/failover-verdict.ts';
import { findFailure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import { formatDuration } from '../model/units.ts';
import { fencing } from '../options.ts';
import { messageOf } from './conclude.ts';
import { timed } from './failing-over.ts';
import type { Switching } from './failing-over.ts';
import { taskOf } from './nodes.ts';

/** Step by step, until one is confirmed; what each brought is kept, and none that fails ends the run. */
export async function climb(use: Switching): Promise<FenceResult[]> {
  const { cluster, journal } = use;
  const results: FenceResult[] = [];
  use.said.fence = results;
  for (const step of cluster.fence) {
    const name = `fence ${use.from.name}: ${describeFence(step)}`;
    const result = await timed(use, name, () => once(use, step));
    results.push(result);
    journal.note(`${result.step}: ${result.outcome}, ${result.found}`);
    if (result.outcome === 'confirmed') break;
  }
  return results;
}

async function once(use: Switching, step: FenceStep): Promise<FenceResult> {
  const name = describeFence(step);
  switch (step.by) {
    case 'traffic':
      return trafficStopped(use, { name, confirms: step.confirms });
    case 'lease':
      await sleep(step.afterMs, { summary: `until the lease of ${use.from.name} is over` });
      return { step: name, outcome: 'confirmed', found: `${formatDuration(step.afterMs)} have passed` };
    default:
      return acted(use, step);
  }
}

/** It is stopped already, where it could be; that no client has another way in is what the configuration says. */
function trafficStopped({ traffic }: Switching, { name, confirms }: { name: string; confirms: boolean }): FenceResult {
  const leading = traffic.unstopped();
  const found = leading.length === 0 ? 'all switches are stopped' : `not stopped: ${leading.join(', ')}`;
  return { step: name, outcome: confirms && leading.length === 0 ? 'confirmed' : 'unconfirmed', found };
}

type Acted = Extract<FenceStep, { by: 'agent-stop' | 'instance-stop' | 'command' }>;

async function acted(use: Switching, step: Acted): Promise<FenceResult> {
  const { cluster, from, mover } = use;
  const summary = `fence ${from.name}: ${describeFence(step)}`;
  const host = step.by === 'agent-stop' ? from.host : step.host;
  try {
    const queue = host === undefined ? {} : { taskQueue: hostQueue(host) };
    const acts = fencing({ summary, ...queue }, cluster.limits.lookMs);
    return await acts.fenceNode({ ...taskOf(cluster, from), ...mover, step });
  } catch (error) {
    // Only of an answer that did not come nothing is known; what was said is no matter of time.
    const outcome = findFailure(error) ? 'impossible' : 'unconfirmed';
    return { step: describeFence(step), outcome, found: messageOf(error) };
  }
}
