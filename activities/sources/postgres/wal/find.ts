import type { Route } from '../../../../workflows/model/reachable.ts';
import type { TargetPlace } from '../../../../workflows/model/recovery.ts';
import type { MarkTarget } from '../../../../workflows/model/target.ts';
import { isoOfMicros } from '../../../../workflows/model/target-parse.ts';
import { formatLsn, parseLsn } from '../../../../workflows/model/lsn.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { timelineAt } from '../../../../workflows/model/timeline.ts';
import type { Run } from '../../../io/run.ts';
import type { TargetFound, TargetSearch, WalVault } from '../../source.ts';
import type { WalMark } from './marks.ts';
import { RecordWalker } from './records.ts';
import { StoredSegments } from './stored-segments.ts';
import type { StoredWal } from './stored-segments.ts';

/** Segments that are read ahead; at least one. */
const AHEAD_BYTES = 64 << 20;
const XID_SPAN = 1n << 32n;

interface Hit {
  place: TargetPlace;
  lsn: bigint;
}

interface Segment {
  timeline: number;
  start: bigint;
}

/**
 * Looks for a target in the WAL behind each base, newest base first, and reads no segment twice. A recovery stops at the first
 * record that fits, from the position on where its base begins, and one that comes before the base is consistent ends it: such a
 * base does not lead there.
 */
export async function findTarget(vault: WalVault, search: TargetSearch, run: Run): Promise<TargetFound> {
  const [newest] = search.routes;
  const before: TargetPlace[] = [];
  if (!newest) return { before };
  const { systemId, segmentBytes } = newest.base;
  const scan = new Scan(vault, { ...search, systemId, segmentBytes, fromLsn: '0/0', run });
  const inVain = new Set<number>();
  for (const [index, route] of search.routes.entries()) {
    if (inVain.has(route.history.timeline)) continue;
    const hit = await scan.firstOn(route);
    if (hit && hit.lsn >= parseLsn(route.base.stopLsn)) return { hit: { index, place: hit.place }, before };
    if (hit && !before.some((place) => place.lsn === hit.place.lsn)) before.push(hit.place);
    if (!hit && scan.isBeyond(route)) inVain.add(route.history.timeline);
  }
  return { before };
}

type Scanned = TargetSearch & StoredWal & { run: Run };

class Scan {
  readonly #use: Scanned;
  readonly #segments: StoredSegments;
  /** Segments that were read, with what was found in them. */
  readonly #seen = new Map<string, Hit[]>();
  /** The next transaction at the first checkpoint behind a base's beginning. */
  readonly #nextXid = new Map<string, bigint>();
  #bytes = 0;

  constructor(vault: WalVault, use: Scanned) {
    this.#use = use;
    this.#segments = new StoredSegments(vault, use);
  }

  /** The first record that fits on the way from a base's beginning to the end of its WAL. */
  async firstOn(route: Route): Promise<Hit | undefined> {
    const from = parseLsn(route.base.startLsn);
    const walker = this.#walker(route);
    let isCut = false;
    for await (const { segment, bytes } of this.#ahead(route)) {
      const wasSeen = this.#hits(segment) !== undefined;
      // A record that began in what is new may end in what was read before.
      if (!wasSeen || isCut) {
        const read = bytes ?? (await this.#read(segment));
        walker.at = segment;
        if (!wasSeen) this.#seen.set(keyOf(segment), []);
        if (read) walker.records.push(segment.start, read);
        isCut = walker.records.isPending;
      }
      const hit = this.#hits(segment)?.find(({ lsn }) => lsn >= from);
      if (hit) return hit;
    }
    return undefined;
  }

  /** True when a transaction had not begun yet at this base: no older one has its end in WAL that was not read. */
  isBeyond({ base }: Route): boolean {
    const { target } = this.#use;
    const next = this.#nextXid.get(base.point);
    if (target.kind !== 'xid' || next === undefined) return false;
    const xid = BigInt(target.xid);
    if (xid >= XID_SPAN) return xid >= next;
    return (xid - (next % XID_SPAN) + XID_SPAN) % XID_SPAN < XID_SPAN / 2n;
  }

  #walker(route: Route): { records: RecordWalker; at: Segment } {
    const at: Segment = { timeline: 0, start: 0n };
    const walker = { at, records: new RecordWalker((mark) => this.#note(mark, walker.at, route)) };
    return walker;
  }

  #note(mark: WalMark, at: Segment, { base, history }: Route): void {
    if (mark.kind === 'checkpoint' && mark.lsn >= parseLsn(base.startLsn) && !this.#nextXid.has(base.point))
      this.#nextXid.set(base.point, mark.nextXid);
    if (!fits(mark, this.#use.target)) return;
    const hits = this.#hits(at);
    if (!hits || hits.some((hit) => hit.lsn === mark.lsn)) return;
    hits.push({ lsn: mark.lsn, place: placeOf(mark, timelineAt(history, formatLsn(mark.lsn))) });
    hits.sort((a, b) => Number(a.lsn - b.lsn));
  }

  #hits(segment: Segment): Hit[] | undefined {
    return this.#seen.get(keyOf(segment));
  }

  /** The segments of a route in order, read some way ahead; bytes are absent for what was seen before. */
  async *#ahead(route: Route): AsyncIterable<{ segment: Segment; bytes: Buffer | undefined }> {
    const most = Math.max(1, Math.floor(AHEAD_BYTES / this.#use.segmentBytes));
    const reading: { segment: Segment; bytes: Promise<Buffer | undefined> }[] = [];
    const next = segmentsOf(route, this.#use.segmentBytes);
    try {
      for (;;) {
        while (reading.length < most) {
          const { value: segment, done } = next.next();
          if (done) break;
          const bytes = this.#hits(segment) ? Promise.resolve(undefined) : this.#read(segment);
          bytes.catch(() => undefined);
          reading.push({ segment, bytes });
        }
        const first = reading.shift();
        if (!first) return;
        yield { segment: first.segment, bytes: await first.bytes };
      }
    } finally {
      await Promise.allSettled(reading.map(({ bytes }) => bytes));
    }
  }

  async #read({ timeline, start }: Segment): Promise<Buffer | undefined> {
    const { run, segmentBytes, target } = this.#use;
    run.signal.throwIfAborted();
    const bytes = await this.#segments.read({ timeline, start });
    this.#bytes += segmentBytes;
    const what = target.kind === 'xid' ? `transaction ${target.xid}` : `restore point "${target.name}"`;
    run.progress({ phase: `look for ${what} in the WAL`, doneBytes: this.#bytes, note: `at ${formatLsn(start)}` });
    return bytes;
  }
}

function keyOf({ timeline, start }: Segment): string {
  return `${timeline}/${start}`;
}

function* segmentsOf({ walk }: Route, segmentBytes: number): Generator<Segment, undefined> {
  const size = BigInt(segmentBytes);
  for (const { timeline, fromLsn, toLsn } of walk.legs) {
    const end: Lsn = toLsn;
    for (let start = parseLsn(fromLsn); start < parseLsn(end); start += size) yield { timeline, start };
  }
  return undefined;
}

function fits(mark: WalMark, target: MarkTarget): mark is Extract<WalMark, { kind: 'end' | 'restore-point' }> {
  if (target.kind === 'name') return mark.kind === 'restore-point' && mark.name === target.name;
  return mark.kind === 'end' && BigInt(mark.xid) === BigInt(target.xid) % XID_SPAN;
}

function placeOf(mark: Extract<WalMark, { kind: 'end' | 'restore-point' }>, timeline: number): TargetPlace {
  const what = mark.kind === 'restore-point' ? 'restore point' : mark.committed ? 'commit' : 'abort';
  const at = mark.micros === undefined || mark.micros === 0 ? {} : { at: isoOfMicros(mark.micros) };
  return { what, timeline, lsn: formatLsn(mark.lsn), ...at };
}
