import type { Commit, LostCommits } from '../workflows/model/last-good.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import { compareLsn } from '../workflows/model/lsn.ts';
import type { Deps } from './deps.ts';
import type { CommitSearch } from './sources/source.ts';
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

/** What the vault knows to be committed behind a position: how many, the first of them, and all of them as reports. */
export function listCommits(deps: Deps, { source, plan, fromLsn }: CommitsTask): Promise<LostCommits> {
  return useSource(deps, source, async (use) => {
    const { vault } = use;
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
      for await (const batch of logOf(use).commits(vault.wal, search)) {
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
