import { failure, isFailure } from '../../../../workflows/model/failure.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn } from '../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import type { WalObject } from '../../../../workflows/model/wal.ts';
import type { Before } from './before.ts';
import type { Chunk } from './chunk.ts';
import { chunkEnd, chunkMemory, fill, isFull, newChunk } from './chunk.ts';
import { removePieces } from './compaction.ts';
import { minimalHole } from './holes.ts';
import type { WalMark } from './marks.ts';
import { WAL_LEVEL_MINIMAL } from './marks.ts';
import { RecordWalker } from './records.ts';
import type { Resume } from './resume.ts';
import type { Shipment } from './shipment.ts';
import { Uploads } from './uploads.ts';

export interface Streaming extends Shipment {
  identity: Identity;
  resume: Resume;
  chunkBytes: number;
  /** What a record that is cut by the beginning of the stream begins in. */
  before?: readonly Before[];
  /** Called when more is durable than before. */
  onDurable(): void;
}

/** Cuts the stream into chunks and pieces, and compares what the vault has of the open chunk with what the server sends. */
export class Receiver {
  /** Rejects when an upload failed for good or stored bytes turn out to be others. */
  readonly broken: Promise<never>;
  readonly #at: Streaming;
  readonly #uploads: Uploads;
  readonly #records = new RecordWalker((mark) => this.#marked(mark));
  /** Of chunks that are stored. */
  readonly #spare: Buffer[] = [];
  #chunk: Chunk;
  /** Comparisons under way. */
  readonly #comparing = new Set<Promise<void>>();
  #known: WalObject[];
  #received: bigint;
  #shipping = false;
  #sentMicros = 0n;
  /** Where WAL of level minimal begins: nothing from there on is kept. */
  #unusable: bigint | undefined;
  /** Newest commit in front of it. */
  #newestUsable: number | undefined;
  /** False while records are read that are stored: what they say was heard when they came. */
  #isHearing = false;
  #fail!: (error: unknown) => void;

  constructor(at: Streaming) {
    this.#at = at;
    this.broken = new Promise((_resolve, reject) => (this.#fail = reject));
    this.broken.catch(() => undefined);
    const { systemId } = at.identity;
    const durable = parseLsn(at.resume.durableLsn);
    this.#uploads = new Uploads({ ...at, identity: { systemId, timeline: at.resume.timeline }, durable });
    this.#chunk = this.#firstChunk(parseLsn(at.resume.startLsn));
    this.#chunk.shipped = Number(durable - this.#chunk.start);
    this.#known = at.resume.pieces.toSorted((a, b) => compareLsn(a.endLsn, b.endLsn));
    this.#received = this.#chunk.start;
    for (const { start, bytes } of at.before ?? []) this.#records.push(start, bytes);
    this.#records.take();
    this.#isHearing = true;
  }

  get durable(): bigint {
    return this.#uploads.durable;
  }

  /**
   * What the server may be told: nothing before it has sent something. A server that no longer has what we ask for says so
   * only when it has begun, and a slot that was led back to WAL that is gone is lost.
   */
  get flushed(): bigint {
    return this.#sentMicros === 0n ? 0n : this.durable;
  }

  take(start: bigint, bytes: Buffer, sentMicros: bigint): void | Promise<void> {
    if (start !== this.#received) {
      throw failure('Bug', `WAL came at ${formatLsn(start)}`, { expected: formatLsn(this.#received) });
    }
    this.#received = start + BigInt(bytes.length);
    this.#sentMicros = sentMicros;
    for (let at = 0; at < bytes.length;) {
      if (this.#unusable !== undefined) {
        this.#records.push(start + BigInt(at), bytes.subarray(at));
        return undefined;
      }
      const before = { ...this.#chunk };
      at += fill(this.#chunk, bytes.subarray(at), this.#records);
      if (this.#unusable !== undefined) this.#cutOff(before);
      else if (isFull(this.#chunk)) this.#close();
    }
    if (this.#at.ship.synchronous) void this.#shipNow();
    if (this.#uploads.full(this.#at.ship.spoolBytes)) return this.#uploads.room(this.#at.ship.spoolBytes);
    return undefined;
  }

  /** A chunk ends where it would if all of it were there: what begins behind a hole may begin anywhere. */
  #firstChunk(start: bigint): Chunk {
    const { chunkBytes } = this.#at;
    return newChunk(start, chunkMemory(chunkBytes - Number(start % BigInt(chunkBytes))));
  }

  #marked(mark: WalMark): void {
    if (mark.kind !== 'parameters' || !this.#isHearing) return;
    if (mark.walLevel !== WAL_LEVEL_MINIMAL) return this.#unusable === undefined ? undefined : this.#endAt(mark.lsn);
    if (this.#unusable !== undefined) return undefined;
    this.#unusable = mark.lsn;
    this.#newestUsable = this.#records.take();
  }

  /** The stream can go on at `to`; everything before the hole is stored first, so that it is always the same hole. */
  #endAt(to: bigint): void {
    const { identity, resume, ship } = this.#at;
    const from =
      this.#unusable !== undefined && this.#unusable > this.#chunk.start ? this.#unusable : this.#chunk.start;
    const hole = { systemId: identity.systemId, timeline: resume.timeline, from: formatLsn(from), to: formatLsn(to) };
    void this.#uploads.ended().then(() => this.#fail(minimalHole(ship.slot, hole)));
  }

  /** Ships what came before WAL that no replay takes, with the commits that stand in front of it. */
  #cutOff(before: Pick<Chunk, 'newestCommitMicros' | 'newestSincePieceMicros'>): void {
    const chunk = this.#chunk;
    const filled = Number((this.#unusable ?? chunk.start) - chunk.start);
    chunk.filled = Math.max(filled, 0);
    for (const name of ['newestCommitMicros', 'newestSincePieceMicros'] as const) {
      const micros = Math.max(before[name] ?? 0, this.#newestUsable ?? 0);
      if (micros > 0) chunk[name] = micros;
      else delete chunk[name];
    }
    void this.#uploads.piece(chunk);
  }

  /** Ships what the open chunk has gained, and brings failures of the background to light. */
  tick(): void {
    try {
      this.#uploads.check();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#compareKnown(this.#chunk);
    void this.#uploads.piece(this.#chunk);
  }

  /** One piece at a time, so that commits which come while it is on its way share the next one. */
  async #shipNow(): Promise<void> {
    if (this.#shipping) return;
    this.#shipping = true;
    // What arrived together goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#chunk.filled > this.#chunk.shipped && !this.#at.run.signal.aborted)
      await this.#uploads.piece(this.#chunk);
    this.#shipping = false;
  }

  report(): void {
    const { run, resume } = this.#at;
    const trouble = this.#uploads.troubleSinceMs;
    const note =
      trouble === undefined
        ? {}
        : { note: `store refuses WAL since ${new Date(trouble).toISOString()}; the database keeps it` };
    run.progress({
      phase: 'streaming',
      counters: {
        timeline: resume.timeline,
        receivedLsn: formatLsn(this.#received),
        durableLsn: formatLsn(this.durable),
        lagBytes: Math.max(0, Number(this.#received - this.durable)),
        sentAtMicros: Number(this.#sentMicros),
      },
      ...note,
    });
    try {
      this.#uploads.check();
    } catch (error) {
      this.#fail(error);
    }
  }

  async finish(): Promise<void> {
    this.tick();
    await this.#uploads.settle();
    await this.#compared();
    // What a comparison found meanwhile.
    await Promise.race([this.broken, Promise.resolve()]);
  }

  /** Resolves when nothing of it is under way any more, however that went. */
  async ended(): Promise<void> {
    await this.#uploads.ended();
    await this.#compared();
  }

  async #compared(): Promise<void> {
    await Promise.all(this.#comparing);
  }

  #close(): void {
    const full = this.#chunk;
    this.#compareKnown(full);
    this.#uploads.whole(full, async () => {
      if (full.bytes.length === this.#at.chunkBytes) this.#spare.push(full.bytes);
      await this.#removePieces(full);
    });
    this.#chunk = newChunk(chunkEnd(full), this.#spare.pop() ?? chunkMemory(this.#at.chunkBytes));
  }

  /** Stored objects of the open chunk must hold the very bytes the server sends now. */
  #compareKnown(chunk: Chunk): void {
    const due = this.#known.filter((object) => parseLsn(object.endLsn) <= chunkEnd(chunk));
    if (due.length === 0) return;
    this.#known = this.#known.filter((object) => !due.includes(object));
    for (const object of due) {
      const comparing = this.#compare(object, chunk)
        .catch((error: unknown) => {
          // The whole chunk is stored and its pieces are gone: it was compared with what is there.
          if (!isFailure(error, 'NotFound')) this.#fail(error);
        })
        .finally(() => this.#comparing.delete(comparing));
      this.#comparing.add(comparing);
    }
  }

  async #compare(object: WalObject, chunk: Chunk): Promise<void> {
    const from = lsnDistanceBytes(formatLsn(chunk.start), object.startLsn);
    const sent = Buffer.from(
      chunk.bytes.subarray(Math.max(from, 0), from + lsnDistanceBytes(object.startLsn, object.endLsn)),
    );
    const stored = await this.#at.vault.read(object);
    if (stored.subarray(Math.max(-from, 0)).equals(sent)) return;
    throw failure('Integrity', `${object.key} holds other bytes than the server sends`, {
      place: object.key,
      expected: 'one server that writes this timeline',
      found: 'two histories of one timeline',
      hint: 'a restored or promoted copy may be shipping here: give it a source of its own, then lifeboat backup',
    });
  }

  #removePieces(chunk: Chunk): Promise<void> {
    const { systemId } = this.#at.identity;
    const { timeline } = this.#at.resume;
    const [startLsn, endLsn] = [formatLsn(chunk.start), formatLsn(chunkEnd(chunk))];
    return removePieces(this.#at.vault, { systemId, timeline, startLsn, endLsn });
  }
}
