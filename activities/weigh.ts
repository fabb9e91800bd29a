import { createHash } from 'node:crypto';
import type { Evidence, Fact } from '../workflows/model/approval.ts';
import { failure } from '../workflows/model/failure.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import type { Deps } from './deps.ts';
import { useSource } from './use-source.ts';

export interface WeighTask {
  source: string;
  plan: RecoveryPlan;
  /** What the run knows itself. */
  facts: Fact[];
}

/** The evidence of a recovery that waits to take over: what the run knows, and what stands on the host now. */
export function weighRecovery(deps: Deps, { source, plan, facts }: WeighTask): Promise<Evidence> {
  return useSource(deps, source, async ({ session }) => {
    if (!session.recovery.look) throw failure('Unsupported', `source ${source} cannot take over: its points are dumps`);
    const { ours, running, answers } = await session.recovery.look(plan);
    const state = !ours ? 'is another one' : !running ? 'is stopped' : answers ? 'answers' : 'does not answer';
    return evidenceOf([...facts, { name: 'recovered cluster', value: `${plan.into} on ${plan.host} ${state}` }]);
  });
}

/** Facts with the SHA-256 over them, each length before its text, so that no two lists of facts give the same bytes; without those that may change. */
export function evidenceOf(facts: Fact[]): Evidence {
  const hash = createHash('sha256');
  const lasting = facts.filter(({ passing }) => passing !== true);
  for (const text of lasting.flatMap(({ name, value }) => [name, value])) {
    hash.update(`${Buffer.byteLength(text)}:`).update(text);
  }
  return { facts, hash: hash.digest('hex') };
}
