import { formatLsn, parseLsn } from '../../../../../workflows/model/lsn.ts';
import { findFailure, isRetryable } from '../../../../../workflows/model/failure.ts';
import type { TimelineHistory, WalObject } from '../../../../../workflows/model/wal.ts';
import type { WalFault } from '../../../../../workflows/model/wal-verify.ts';
import type { Run } from '../../../../io/run.ts';
import type { WalVault } from '../../../source.ts';
import type { CheckedWal, WalCheck } from '../../../stored-wal-care.ts';
import { MAGIC } from '../archive/segment-file.ts';
import { Chain } from './chain.ts';
import type { ChainState } from './chain.ts';
import type { CheckedUnit } from './check-unit.ts';
import { checkUnit, faultOf } from './check-unit.ts';
import type { RunJob } from './check-run.ts';
import { segmentBytesOf } from './page.ts';
import type { Unit } from './units.ts';
import { unitsOf } from './units.ts';

/** Units that are read at once: each may be of 16 MiB. */
const AT_ONCE = 4;

/**
 * Reads the objects in order, some way ahead, and follows pages and records from one to the next. What it yields says how far
 * it is; given that again, another attempt goes on there.
 */
export async function* checkWal(vault: WalVault, check: WalCheck, run: Run): AsyncIterable<CheckedWal> {
  const { systemId, segmentBytes, after } = check;
  const chain = new Chain(after?.chain as ChainState | undefined);
  const reading = { vault, systemId, orderOf: ordersOf(check) };
  const units = unitsOf(check.objects, segmentBytes);
  const flying: Promise<CheckedUnit>[] = [];
  try {
    for (;;) {
      while (flying.length < AT_ONCE) {
        run.signal.throwIfAborted();
        const unit = nextUnit(units, after);
        if (!unit) break;
        const checked = checkUnit(reading, unit);
        checked.catch(() => undefined);
        flying.push(checked);
      }
      const first = await flying.shift();
      if (!first) return;
      yield joined(chain, first, check);
    }
  } finally {
    await Promise.allSettled(flying);
  }
}

function nextUnit(units: Iterator<Unit>, after: WalCheck['after']): Unit | undefined {
  for (let next = units.next(); !next.done; next = units.next()) {
    const unit = next.value;
    if (!after || unit.timeline > after.timeline) return unit;
    if (unit.timeline === after.timeline && unit.start >= parseLsn(after.lsn)) return unit;
  }
  return undefined;
}

function joined(chain: Chain, { unit, runs, faults }: CheckedUnit, { segmentBytes }: WalCheck): CheckedWal {
  const all: WalFault[] = [...faults];
  for (const { start, end, said } of runs) {
    const stretch = { timeline: unit.timeline, start: Number(start), end: Number(end), segmentBytes };
    const wrong = chain.add(stretch, said);
    if (!wrong) continue;
    const object = unit.objects.findLast((each) => parseLsn(each.startLsn) <= BigInt(wrong.at)) ?? unit.objects[0];
    const what = `${wrong.what} (at ${formatLsn(BigInt(wrong.at))})`;
    if (object) all.push(faultOf(object, { ...wrong, what }));
  }
  return {
    timeline: unit.timeline,
    endLsn: formatLsn(unit.end),
    objects: unit.objects.length,
    storedBytes: unit.objects.reduce((total, { storedBytes }) => total + storedBytes, 0),
    walBytes: Number(unit.end - unit.start),
    records: runs.reduce((total, { said }) => total + said.records, 0),
    faults: all,
    ...(chain.state ? { chain: chain.state } : {}),
  };
}

/** What the pages of each timeline must say, as far as it is known. */
function ordersOf({
  systemId,
  segmentBytes,
  serverVersion,
  histories,
}: WalCheck): (timeline: number) => Omit<RunJob, 'start'> {
  const magic = serverVersion === undefined ? 0 : (MAGIC[Math.floor(serverVersion / 10_000)] ?? 0);
  return (timeline) => ({ systemId, segmentBytes, timeline, magic, forks: forksOf(histories, timeline) });
}

function forksOf(histories: readonly TimelineHistory[], timeline: number): RunJob['forks'] {
  if (timeline === 1) return [];
  const history = histories.find((each) => each.timeline === timeline);
  return history?.ancestors.map((step) => [step.timeline, Number(parseLsn(step.switchLsn))] as const);
}

const MIB = 2n ** 20n;
const TRIES = 64;

/** The first page of a segment says how long segments are. */
export async function storedSegmentBytes(vault: WalVault, objects: readonly WalObject[]): Promise<number | undefined> {
  const candidates = objects.filter(({ startLsn }) => parseLsn(startLsn) % MIB === 0n).slice(0, TRIES);
  for (const object of candidates) {
    try {
      const size = segmentBytesOf(await vault.read(object));
      if (size !== undefined) return size;
    } catch (error) {
      // What cannot be read is told when it is checked.
      if (isRetryable(error) || !findFailure(error)) throw error;
    }
  }
  return undefined;
}
