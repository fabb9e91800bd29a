import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { LastGood, LostCommits, Probe } from '../model/last-good.ts';
import { findLastGood, touchedText } from '../model/last-good.ts';
import { failure, isFailure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { ReachableWindow, RestoreResult } from '../model/recovery.ts';
import { describeTarget } from '../model/target.ts';
import { bulk } from '../options.ts';
import { Compensations, messageOf } from './conclude.ts';
import { recover, replayOf } from './recover.ts';
import { NO_CLOCK } from './rto-clock.ts';
import type { Saving } from './take-over.ts';

const BOUNDS = { most: 40, precisionMicros: 1_000_000 };

/** Recovers to one moment after the other, in a scratch place, until the last good one is known. */
export async function lastGoodOf(use: Saving, windows: readonly ReachableWindow[]): Promise<LastGood> {
  const { journal, order, said } = use;
  const rows: string[][] = [];
  const isGood = async (probe: Probe): Promise<boolean> => {
    journal.step(`try ${describeTarget(probe.target)} from ${probe.point}`);
    const why = await problemOf(use, probe);
    rows.push([describeTarget(probe.target), probe.point, why ?? 'good']);
    journal.note(why === undefined ? 'it is good' : `it is not: ${why}`);
    return why === undefined;
  };
  const wanted = order.point === undefined ? windows : windows.filter(({ point }) => point === order.point);
  const found = await findLastGood(wanted, isGood, BOUNDS);
  said.sections = [{ title: 'Moments that were tried', head: ['moment', 'from', 'found'], rows }];
  if (!found) {
    throw failure('Integrity', `no good moment of ${order.source} was found in ${rows.length} recoveries`, {
      place: order.source,
      expected: 'a moment whose proof holds',
      found: rows.at(-1)?.join(', ') ?? 'no moment',
      hint: 'look at the checks: probes of the source, --must-hold; or name the moment with --to-time',
    });
  }
  const until = found.badFrom === undefined ? 'the newest there is' : `bad at ${found.badFrom}`;
  const value = `${describeTarget(found.target)} from ${found.point}, ${until}; ${found.tried} recoveries`;
  said.facts = [...(said.facts ?? []), { name: 'last good moment', value }];
  return found;
}

/** Why a moment is not good; undefined when it is. Its copy is gone in either case. */
async function problemOf(use: Saving, { point, target }: Probe): Promise<string | undefined> {
  const { order, journal } = use;
  const { source, host, mustHold } = order;
  const scratch = new Compensations();
  let problem: string | undefined;
  let isKept = false;
  const wish = { source, point, target, ...(host === undefined ? {} : { host }), ...(mustHold ? { mustHold } : {}) };
  try {
    await recover(wish, { ...use, undo: scratch, clock: NO_CLOCK, keepUnproven: false });
  } catch (error) {
    if (isCancellation(error) || !isFailure(error, 'Integrity')) throw error;
    problem = messageOf(error).slice(0, 300);
  } finally {
    await CancellationScope.nonCancellable(async () => {
      isKept = (await scratch.unwind(journal)).failed > 0;
    });
  }
  if (!isKept) return problem;
  throw failure('Precondition', 'a copy that was tried cannot be removed, and the next would stand in its place', {
    place: source,
    hint: 'remove it by hand, see the run; then start again',
  });
}

/** Transactions that the recovered cluster lacks, out of the stored WAL. */
export async function lostBehind({ order, journal, said }: Saving, restore: RestoreResult): Promise<LostCommits> {
  const { plan } = restore;
  const replay = replayOf(restore);
  journal.step('list what was committed after it');
  const acts = bulk({ summary: `WAL behind ${replay.stoppedAtLsn}`, taskQueue: hostQueue(plan.host) });
  const { stoppedAtLsn: fromLsn } = replay;
  const lost = await acts.listCommits({ source: order.source, plan, fromLsn });
  const value = `${lost.total} transactions in the vault behind ${fromLsn}${lost.reports.length > 0 ? `, all of them in ${lost.reports.join(', ')}` : ''}`;
  said.facts = [...(said.facts ?? []), { name: 'lost', value }];
  const rows = lost.first.map((commit) => [commit.at ?? '', commit.xid, commit.lsn, touchedText(commit)]);
  said.sections = [
    ...(said.sections ?? []),
    { title: `Lost transactions, ${lost.total} in all`, head: ['when (UTC)', 'transaction', 'LSN', 'changed'], rows },
  ];
  return lost;
}
