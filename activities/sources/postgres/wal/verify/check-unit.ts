import { failure, failureFacts, findFailure, isFailure } from '../../../../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../../../../workflows/model/lsn.ts';
import type { WalObject } from '../../../../../workflows/model/wal.ts';
import type { WalFault } from '../../../../../workflows/model/wal-verify.ts';
import { threadModule } from '../../../../io/thread.ts';
import type { WalVault } from '../../../source.ts';
import type { RunJob, RunSaid } from './check-run.ts';
import { checkRun } from './check-run.ts';
import { inOrder } from './units.ts';
import type { Unit } from './units.ts';

const CHECK = threadModule('check-thread', import.meta.url).href;
/** A segment is compacted once, and retention removes once; what goes on vanishing is somebody else's doing. */
export const LOOKS = 4;

export interface Reading {
  vault: WalVault;
  systemId: string;
  /** What pages of a timeline must say. */
  orderOf(timeline: number): Omit<RunJob, 'start'>;
}

/** A contiguous stretch of a unit, as far as it could be read. */
export interface CheckedRun {
  start: bigint;
  end: bigint;
  said: RunSaid;
}

export interface CheckedUnit {
  unit: Unit;
  runs: CheckedRun[];
  faults: WalFault[];
}

/** Reads every object of a unit. What was compacted or removed since it was listed is looked up again. */
export async function checkUnit(at: Reading, unit: Unit, look = 1): Promise<CheckedUnit> {
  try {
    return await (unit.objects.length === 1 ? checkOne(at, unit) : checkSome(at, unit));
  } catch (error) {
    if (!(error instanceof Vanished) || look === LOOKS) throw error instanceof Vanished ? unsettled(unit) : error;
    const now = await listed(at, unit);
    return now ? checkUnit(at, now, look + 1) : { unit: { ...unit, objects: [] }, runs: [], faults: [] };
  }
}

/** What was listed is not there any more: look again. */
export class Vanished extends Error {}

export function unsettled({ objects: [object] }: Unit): Error {
  return failure('Unavailable', `WAL at ${object?.startLsn} changes again and again while it is read`, {
    place: object?.key ?? 'WAL',
  });
}

/** The unit as it is stored now; undefined when nothing of it is. */
export async function listed(
  { vault, systemId }: Pick<Reading, 'vault' | 'systemId'>,
  { timeline, start, end }: Unit,
): Promise<Unit | undefined> {
  const all = await vault.list({ systemId, timeline, fromLsn: formatLsn(start) });
  const objects = inOrder(all.filter((object) => parseLsn(object.startLsn) < end));
  const [first] = objects;
  if (!first) return undefined;
  const last = objects.reduce((most, { endLsn }) => (parseLsn(endLsn) > most ? parseLsn(endLsn) : most), 0n);
  return { timeline, start: parseLsn(first.startLsn), end: last, objects };
}

async function checkOne(at: Reading, unit: Unit): Promise<CheckedUnit> {
  const [object] = unit.objects as [WalObject];
  const job: RunJob = { ...at.orderOf(unit.timeline), start: Number(unit.start) };
  const said = await unlessBad(at, object, () => at.vault.use(object, { module: CHECK, job }) as Promise<RunSaid>);
  if ('fault' in said) return { unit, runs: [], faults: [said.fault] };
  return { unit, runs: [{ start: unit.start, end: unit.end, said: said.read }], faults: [] };
}

async function checkSome(at: Reading, unit: Unit): Promise<CheckedUnit> {
  const { bytes, spans, faults } = await assemble(at, unit);
  const order = at.orderOf(unit.timeline);
  const runs = spans.map(({ start, end }) => {
    const run = bytes.subarray(Number(start - unit.start), Number(end - unit.start));
    return { start, end, said: checkRun(run, { ...order, start: Number(start) }) };
  });
  return { unit, runs, faults };
}

export interface Assembled {
  /** Of the whole unit; zeros where nothing could be read. */
  bytes: Buffer;
  /** Where something could. */
  spans: { start: bigint; end: bigint }[];
  faults: WalFault[];
}

/** Pieces, put together: where they overlap they hold the same bytes. Vanished when one is not there any more. */
export async function assemble(at: Pick<Reading, 'vault' | 'systemId'>, unit: Unit): Promise<Assembled> {
  const faults: WalFault[] = [];
  const spans: Assembled['spans'] = [];
  const bytes = Buffer.alloc(Number(unit.end - unit.start));
  for (const object of unit.objects) {
    const read = await unlessBad(at, object, () => at.vault.read(object));
    if ('fault' in read) {
      faults.push(read.fault);
      continue;
    }
    const [start, end] = [parseLsn(object.startLsn), parseLsn(object.endLsn)];
    const offset = Number(start - unit.start);
    const last = spans.at(-1);
    // In the order of their beginnings: what is known ends where the newest span does.
    const known = last && last.end > start ? Number((last.end < end ? last.end : end) - start) : 0;
    if (!bytes.subarray(offset, offset + known).equals(read.read.subarray(0, known))) {
      faults.push(faultOf(object, { what: 'WAL object: bytes that another has, too', ...TWO_HISTORIES }));
      continue;
    }
    read.read.copy(bytes, offset);
    if (!last || start > last.end) spans.push({ start, end });
    else if (end > last.end) last.end = end;
  }
  return { bytes, spans, faults };
}

const TWO_HISTORIES = { expected: 'the same bytes', found: 'others: two histories of one timeline' };

/** What can never be read is a fault of the object; what cannot be read now is thrown. */
async function unlessBad<T>(
  at: Pick<Reading, 'vault' | 'systemId'>,
  object: WalObject,
  read: () => Promise<T>,
): Promise<{ read: T } | { fault: WalFault }> {
  try {
    return { read: await read() };
  } catch (error) {
    if (isFailure(error, 'NotFound') && !(await isThere(at, object))) throw new Vanished();
    if (!['Integrity', 'Unsupported', 'NotFound'].includes(findFailure(error)?.type ?? '')) throw error;
    const { expected, found } = failureFacts(error);
    const message = findFailure(error)?.message ?? String(error);
    return {
      fault: faultOf(object, { what: message, expected: expected ?? 'what was stored', found: found ?? 'other bytes' }),
    };
  }
}

/** When it is, what is not there is its key. */
async function isThere(
  { vault, systemId }: Pick<Reading, 'vault' | 'systemId'>,
  { key, timeline, startLsn }: WalObject,
): Promise<boolean> {
  const objects = await vault.list({ systemId, timeline, fromLsn: startLsn });
  return objects.some((object) => object.key === key);
}

export function faultOf(
  { key: place, timeline, startLsn: fromLsn, endLsn: toLsn }: WalObject,
  wrong: { what: string; expected: string; found: string },
): WalFault {
  const { what, expected, found } = wrong;
  return { place, timeline, fromLsn, toLsn, what, expected, found };
}
