import type { Commit, LostCommits } from '../workflows/model/last-good.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import { compareLsn } from '../workflows/model/lsn.ts';
import { findFailure, isRetryable } from '../workflows/model/failure.ts';
import { openChained } from './chained.ts';
import type { Deps } from './deps.ts';
import type { CommitSearch } from './sources/source.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { logOf } from './wal.ts';

export interface CommitsTask {
  source: string;
  plan: RecoveryPlan;
  /** Where the recovery stopped. */
  fromLsn: string;
}

const SHOWN = 20;
/** Of a report: so much is held in memory. */
const REPORT_BYTES = 4 << 20;

/** What the vault knows to be committed behind a position, and in which relations: how many, the first of them, and all of them as reports. */
export function listCommits(deps: Deps, { source, plan, fromLsn }: CommitsTask): Promise<LostCommits> {
  return useSource(deps, source, async (use) => {
    const { vault } = use;
    const nameOf = await namesOf(use, plan);
    const first: Commit[] = [];
    const reports: string[] = [];
    let total = 0;
    let text = '';
    const flush = async (): Promise<void> => {
      if (text === '') return;
      const name = `lost-${plan.run}-${String(reports.length + 1).padStart(4, '0')}.jsonl`;
      reports.push((await vault.putReport(name, Buffer.from(text))).key);
      text = '';
    };
    for (const search of searchesOf(plan, fromLsn)) {
      for await (const found of logOf(use).commits(vault.wal, search)) {
        const batch = found.map((commit) => named(commit, nameOf));
        total += batch.length;
        first.push(...batch.slice(0, SHOWN - first.length));
        text += batch.map((commit) => `${JSON.stringify(commit)}\n`).join('');
        if (text.length >= REPORT_BYTES) await flush();
      }
    }
    await flush();
    return { fromLsn, total, first, reports };
  });
}

type NameOf = (path: string) => string | undefined;

/** As the catalogs of the base know them: what was made or rewritten since has none. */
async function namesOf({ session, vault, run }: SourceUse, { base }: RecoveryPlan): Promise<NameOf> {
  try {
    return (await session.files?.names(await openChained(vault, base.point))) ?? (() => undefined);
  } catch (error) {
    if (isRetryable(error) || !findFailure(error)) throw error;
    // The list is worth having without them.
    run.log.warn('relations cannot be named', { error: findFailure(error)?.message ?? '' });
    return () => undefined;
  }
}

function named(commit: Commit, nameOf: NameOf): Commit {
  if (!commit.relations) return commit;
  const relations = commit.relations.map((each) => ({ ...each, relation: nameOf(each.relation) ?? each.relation }));
  return { ...commit, relations };
}

/** What the plan would have replayed behind the position, and what has come on its last timeline since. */
function searchesOf({ base, legs }: RecoveryPlan, fromLsn: string): CommitSearch[] {
  const { systemId, segmentBytes } = base;
  const last = legs.at(-1);
  return legs
    .filter((leg) => leg === last || compareLsn(leg.toLsn, fromLsn) > 0)
    .map((leg) => ({
      ...{ systemId, segmentBytes, timeline: leg.timeline },
      fromLsn: compareLsn(leg.fromLsn, fromLsn) > 0 ? leg.fromLsn : fromLsn,
      ...(leg === last ? {} : { toLsn: leg.toLsn }),
    }));
}
