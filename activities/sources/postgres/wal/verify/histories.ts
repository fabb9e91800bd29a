import { failureFacts, findFailure, isRetryable } from '../../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn, segmentStart } from '../../../../../workflows/model/lsn.ts';
import { parseHistory } from '../../../../../workflows/model/timeline.ts';
import { rangesOf } from '../../../../../workflows/model/wal-coverage.ts';
import type { TimelineHistory, WalObject } from '../../../../../workflows/model/wal.ts';
import type { WalFault } from '../../../../../workflows/model/wal-verify.ts';
import type { WalVault } from '../../../source.ts';
import type { CheckedHistories } from '../../../stored-wal-care.ts';

export interface HistoryCheck {
  systemId: string;
  segmentBytes: number;
  objects: readonly WalObject[];
  /** Timelines that something else stands on, like a recovery point. */
  timelines: readonly number[];
}

/** History files: that each is there, can be read, and agrees with the others and with the WAL at every fork. */
export async function checkHistories(vault: WalVault, check: HistoryCheck): Promise<CheckedHistories> {
  const wanted = new Set([...check.timelines, ...check.objects.map(({ timeline }) => timeline)]);
  const histories: TimelineHistory[] = [];
  const faults: WalFault[] = [];
  for (let timeline = Math.max(0, ...wanted); timeline > 1; timeline--) {
    const read = await readOne(vault, check, timeline);
    if (read === undefined) {
      if (wanted.has(timeline)) faults.push(wrongHistory(check, timeline, MISSING));
    } else if ('fault' in read) {
      faults.push(read.fault);
    } else {
      histories.push(read);
      for (const step of read.ancestors) wanted.add(step.timeline);
    }
  }
  histories.sort((a, b) => a.timeline - b.timeline);
  for (const history of histories) faults.push(...disagreements(check, history, histories));
  for (const history of histories) {
    const fault = await wrongFork(vault, check, history);
    if (fault) faults.push(fault);
  }
  return { histories, faults };
}

const MISSING = {
  what: 'timeline history: the file is not in the vault',
  expected: 'the file that says where the timeline began',
  found: 'nothing',
};

async function readOne(
  vault: WalVault,
  check: HistoryCheck,
  timeline: number,
): Promise<TimelineHistory | { fault: WalFault } | undefined> {
  try {
    const content = await vault.readHistory(check.systemId, timeline);
    return content && parseHistory(timeline, content.toString('utf8'));
  } catch (error) {
    const known = findFailure(error);
    if (!known || isRetryable(known)) throw error;
    const { expected = 'what was stored', found = 'other bytes' } = failureFacts(known);
    return { fault: wrongHistory(check, timeline, { what: known.message, expected, found }) };
  }
}

function wrongHistory(
  { objects }: HistoryCheck,
  timeline: number,
  wrong: { what: string; expected: string; found: string },
): WalFault {
  const own = objects.filter((object) => object.timeline === timeline);
  const [fromLsn, toLsn] = [own[0]?.startLsn ?? '0/0', own.at(-1)?.endLsn ?? '0/0'];
  return { place: placeOf(objects, timeline), timeline, fromLsn, toLsn, ...wrong };
}

/** History files stand beside the timelines' folders. */
function placeOf(objects: readonly WalObject[], timeline: number): string {
  const name = timeline.toString(16).padStart(8, '0');
  const cluster = objects[0]?.key.replace(/[0-9a-f]{8}\/[^/]+$/, '');
  return cluster === undefined ? `history of timeline ${timeline}` : `${cluster}history/${name}`;
}

function disagreements(check: HistoryCheck, history: TimelineHistory, all: readonly TimelineHistory[]): WalFault[] {
  const { timeline, ancestors } = history;
  const faults: WalFault[] = [];
  const steps = (some: TimelineHistory['ancestors']): string =>
    some.map((step) => `${step.timeline} left at ${step.switchLsn}`).join(', ') || 'none';
  const ascends = ancestors.every(
    (step, index) =>
      step.timeline < (ancestors[index + 1]?.timeline ?? timeline) &&
      compareLsn(step.switchLsn, ancestors[index + 1]?.switchLsn ?? step.switchLsn) <= 0,
  );
  if (!ascends || ancestors.length === 0) {
    const expected = 'timelines and positions that ascend';
    faults.push(wrongHistory(check, timeline, { what: 'timeline history', expected, found: steps(ancestors) }));
  }
  for (const [index, step] of ancestors.entries()) {
    const other = all.find((each) => each.timeline === step.timeline);
    const expected = steps(ancestors.slice(0, index));
    const found = other ? steps(other.ancestors) : expected;
    if (expected === found) continue;
    const what = `timeline history: disagrees with that of timeline ${step.timeline}`;
    faults.push(wrongHistory(check, timeline, { what, expected, found }));
  }
  return faults;
}

/** A timeline begins with its parent's bytes, up to where that was left (xlog.c, XLogInitNewTimeline). */
async function wrongFork(
  vault: WalVault,
  check: HistoryCheck,
  { timeline, ancestors }: TimelineHistory,
): Promise<WalFault | undefined> {
  const step = ancestors.at(-1);
  const own = check.objects.filter((object) => object.timeline === timeline);
  const [first] = own;
  if (!step || !first) return undefined;
  const from = formatLsn(segmentStart(parseLsn(step.switchLsn), check.segmentBytes));
  if (compareLsn(first.startLsn, from) < 0) {
    const expected = `WAL from ${from} on: its parent was left at ${step.switchLsn}`;
    const wrong = { what: 'timeline: begins before its fork', expected, found: `WAL from ${first.startLsn} on` };
    return { ...wrongHistory(check, timeline, wrong), place: first.key };
  }
  const span = { from, to: step.switchLsn };
  const parents = check.objects.filter((object) => object.timeline === step.timeline);
  const [ours, theirs] = [await bytesOf(vault, own, span), await bytesOf(vault, parents, span)];
  if (!ours || !theirs || ours.equals(theirs)) return undefined;
  const expected = `the bytes of timeline ${step.timeline} up to ${step.switchLsn}`;
  const wrong = { what: 'timeline: its beginning is not what its parent holds', expected, found: 'others' };
  return { ...wrongHistory(check, timeline, wrong), place: first.key };
}

/** Undefined unless all of it is stored and can be read: what cannot is told elsewhere. */
async function bytesOf(
  vault: WalVault,
  objects: readonly WalObject[],
  { from, to }: { from: Lsn; to: Lsn },
): Promise<Buffer | undefined> {
  const touching = objects.filter(
    (object) => compareLsn(object.endLsn, from) > 0 && compareLsn(object.startLsn, to) < 0,
  );
  const isHeld = rangesOf(touching).some(
    (range) => compareLsn(range.startLsn, from) <= 0 && compareLsn(range.endLsn, to) >= 0,
  );
  if (!isHeld) return undefined;
  const bytes = Buffer.alloc(lsnDistanceBytes(from, to));
  for (const object of touching) {
    const read = await vault.read(object).catch((error: unknown) => {
      if (isRetryable(error) || !findFailure(error)) throw error;
      return undefined;
    });
    if (!read) return undefined;
    const offset = lsnDistanceBytes(from, object.startLsn);
    read.copy(bytes, Math.max(offset, 0), Math.max(-offset, 0));
  }
  return bytes;
}
