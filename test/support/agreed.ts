import type { PendingApproval } from '../../workflows/model/approval.ts';
import { ask } from './cli-ask.ts';
import type { CliWorld } from './cli-world.ts';
import { until } from './system-until.ts';

/** What a run shows to those who decide; ben agrees. */
export async function agreed(world: CliWorld, run: string): Promise<PendingApproval> {
  const pending = await until(`${run} asks`, async () => {
    const { code, json } = await world.cli(['approve', run, '--json']);
    return code === 0 ? (json['pending'] as PendingApproval) : undefined;
  });
  await ask(world, 'approve', run, '--evidence', pending.evidence.hash, '--as', 'ben');
  return pending;
}
