import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure, isRetryable } from '../../../../workflows/model/failure.ts';
import { formatLsn, parseSegmentName, segmentName } from '../../../../workflows/model/lsn.ts';
import type { TimelineHistory } from '../../../../workflows/model/wal.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { release, SPARE_BYTES } from '../../../io/memory.ts';
import type { Run } from '../../../io/run.ts';
import { settledWithin } from '../../../io/settled-within.ts';
import type { WalVault } from '../../source.ts';
import { assembleSegment } from '../wal/segments.ts';
import type { Host } from '../../../io/postgres/host.ts';
import type { Neighbours } from './inside-copy.ts';
import { InsideCopy, undefinedIfDamaged } from './inside-copy.ts';
import type { Place } from './place.ts';
import { SegmentIndex } from '../wal/segment-index.ts';

/** Segments kept ready ahead of the one that the server took last. */
const AHEAD_BYTES = 128 * 1024 * 1024;
/** Segments fetched ahead at once: each holds its bytes twice for a moment. */
const AHEAD_AT_ONCE = 3;
const POLL_MS = 10;
const RETRY_MS = 1_000;
/** For what was begun when nobody is fed any more. */
const ENDING_MS = 5_000;
/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;

type Segment = NonNullable<ReturnType<typeof parseSegmentName>>;

export interface FeederOptions {
  place: Place;
  host: Host;
  wal: WalVault;
  run: Run;
  systemId: string;
  segmentBytes: number;
}

/** Serves the WAL files that the server asks for, and fetches ahead of it. An answer "absent" is given only after asking the vault. */
export class Feeder {
  readonly #at: FeederOptions;
  readonly #fetching = new Map<string, Promise<boolean>>();
  /** What stands in the spool for the server to take. */
  readonly #ready = new Set<string>();
  #ahead: string[] = [];
  #aheadRunning = 0;
  #index = new SegmentIndex([], 1);
  #histories: TimelineHistory[] = [];
  readonly #inside = new InsideCopy();
  readonly #end = new AbortController();
  #served = 0;

  constructor(options: FeederOptions) {
    this.#at = options;
  }

  /** Segments given to the server so far. */
  get served(): number {
    return this.#served;
  }

  /** True while a file is on its way. */
  get busy(): boolean {
    return this.#fetching.size > 0;
  }

  stop(): void {
    this.#end.abort(new Error('nobody is fed any more'));
  }

  get #stopped(): boolean {
    return this.#end.signal.aborted;
  }

  /** Runs until `stop` or the signal; fails only on what no retry mends. What it began is over when it ends. */
  async serve(): Promise<void> {
    const answering = new Map<string, Promise<void>>();
    try {
      await this.#answerAll(answering);
    } finally {
      this.stop();
      // A store that hangs is not waited for any longer: what it may still give is written nowhere.
      const begun = Promise.allSettled([...answering.values(), ...this.#fetching.values()]);
      await settledWithin(this.#at.run.clock, ENDING_MS, begun);
    }
  }

  async #answerAll(answering: Map<string, Promise<void>>): Promise<void> {
    await this.#patiently(() => this.#refresh());
    await this.#forgetReady();
    let broken: unknown;
    while (!this.#stopped && !this.#at.run.signal.aborted) {
      if (broken !== undefined) throw broken as Error;
      await this.#noteTaken();
      for (const name of await readdir(this.#at.place.want)) {
        if (answering.has(name)) continue;
        const answer = this.#answer(name)
          .catch((error: unknown) => void (broken ??= error))
          .finally(() => answering.delete(name));
        answering.set(name, answer);
      }
      await this.#at.run.clock.sleep(POLL_MS);
    }
  }

  /** What lies ready from an earlier time may be the beginning of a segment that has grown since. */
  async #forgetReady(): Promise<void> {
    for (const name of await readdir(this.#at.place.ready)) await rm(join(this.#at.place.ready, name), { force: true });
  }

  async #refresh(): Promise<void> {
    const { wal, systemId } = this.#at;
    this.#index = new SegmentIndex(await wal.list({ systemId }), this.#at.segmentBytes);
    this.#histories = await wal.histories(systemId);
  }

  async #answer(name: string): Promise<void> {
    const { place } = this.#at;
    if (existsSync(join(place.ready, name)) || existsSync(join(place.absent, name))) return;
    if (await this.#fetch(name)) {
      this.#fetchAhead(name);
    } else if (!this.#stopped && existsSync(join(place.want, name))) {
      await writeFile(join(place.absent, name), '');
    }
    // The request is answered; what is left of it must not be answered again for a later one of the same name.
    await rm(join(place.want, name), { force: true });
  }

  /** The server takes what is ready without asking: what it took makes room for more. */
  async #noteTaken(): Promise<void> {
    if (this.#ready.size === 0) return;
    const left = new Set(await readdir(this.#at.place.ready));
    const taken = [...this.#ready].filter((name) => !left.has(name)).toSorted();
    for (const name of taken) this.#ready.delete(name);
    this.#served += taken.length;
    const newest = taken.at(-1);
    if (newest !== undefined) this.#fetchAhead(newest);
  }

  #fetchAhead(name: string): void {
    const { segmentBytes } = this.#at;
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment) return;
    this.#ahead = [];
    for (let ahead = segmentBytes; ahead <= AHEAD_BYTES; ahead += segmentBytes) {
      const next = segmentName(segment.timeline, segment.start + BigInt(ahead), segmentBytes);
      if (this.#isKnown(next) && !this.#ready.has(next)) this.#ahead.push(next);
    }
    this.#startAhead();
  }

  #startAhead(): void {
    while (this.#aheadRunning < AHEAD_AT_ONCE && !this.#stopped) {
      const next = this.#ahead.shift();
      if (next === undefined) return;
      if (this.#fetching.has(next)) continue;
      this.#aheadRunning += 1;
      void this.#fetch(next)
        .catch(() => undefined)
        .finally(() => {
          this.#aheadRunning -= 1;
          this.#startAhead();
        });
    }
  }

  #fetch(name: string): Promise<boolean> {
    const running = this.#fetching.get(name);
    if (running) return running;
    if (existsSync(join(this.#at.place.ready, name))) return Promise.resolve(true);
    const fetching = this.#patiently(() => this.#produce(name)).finally(() => this.#fetching.delete(name));
    this.#fetching.set(name, fetching);
    return fetching;
  }

  async #produce(name: string): Promise<boolean> {
    const content = await this.#content(name);
    if (content === undefined) return false;
    this.#end.signal.throwIfAborted();
    const { place, host } = this.#at;
    // Another feeder, of an attempt that was stopped and has not ended yet, may be at the same file.
    const staged = join(place.spool, `${name}.${randomUUID()}`);
    try {
      await writeFile(staged, content, { mode: 0o600 });
      if (host.as) await chown(staged, host.as.uid, host.as.gid);
      await rename(staged, join(place.ready, name));
      this.#ready.add(name);
      release(content, SPARE_BYTES);
      return true;
    } catch (error) {
      await rm(staged, { force: true });
      throw fileFailure(place.spool, error);
    }
  }

  async #content(name: string): Promise<Buffer | undefined> {
    const { wal, systemId, segmentBytes } = this.#at;
    const history = /^([0-9A-F]{8})\.history$/.exec(name)?.[1];
    if (history !== undefined) return wal.readHistory(systemId, Number.parseInt(history, 16));
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment) return undefined;
    // Only at its very end can the vault have gained something since it was listed.
    if (!this.#isKnown(name) && this.#mayHaveGrown(segment.timeline, segment.start)) await this.#refresh();
    const content = await this.#assemble(segment);
    return content && this.#keepInside(content, { ...segment, name });
  }

  /** Tablespaces that the WAL makes go into the copy, wherever the source made them. */
  async #keepInside(content: Buffer, segment: Segment & { name: string }): Promise<Buffer> {
    const made = await this.#inside.keep(content, segment, this.#beside(segment));
    for (const { oid, location } of made)
      this.#at.run.log.info('a tablespace of the source is made inside the copy', { oid, location });
    return content;
  }

  #beside({ timeline, start }: Segment): Neighbours {
    const { segmentBytes } = this.#at;
    const others = (at: bigint, fits: (other: number) => boolean): Segment[] => {
      const timelines = new Set(this.#index.touching(at).map((object) => object.timeline));
      return [...timelines].filter(fits).map((other) => ({ timeline: other, start: at }));
    };
    const readable = (other: Segment): Promise<Buffer | undefined> => this.#assemble(other).catch(undefinedIfDamaged);
    return {
      before: async () => {
        const found = others(start - BigInt(segmentBytes), (other) => other <= timeline).map((other) => ({
          place: { start: other.start, name: segmentName(other.timeline, other.start, segmentBytes) },
          content: () => readable(other),
        }));
        // One that is on its way is not fetched twice: how it ends is remembered.
        await Promise.allSettled(found.flatMap(({ place }) => this.#fetching.get(place.name) ?? []));
        return found;
      },
      behind: async () => {
        const next = start + BigInt(segmentBytes);
        if (this.#index.touching(next).length === 0) await this.#refresh();
        const found = others(next, (other) => other >= timeline).map(readable);
        return (await Promise.all(found)).filter((content) => content !== undefined);
      },
    };
  }

  /** Pieces that were compacted since they were listed are gone; what replaced them is in a new list. */
  async #assemble({ timeline, start }: Segment, look = 1): Promise<Buffer | undefined> {
    const { wal, segmentBytes } = this.#at;
    const query = { timeline, start: formatLsn(start), segmentBytes, histories: this.#histories };
    try {
      return await assembleSegment(wal, this.#index.touching(start), query);
    } catch (error) {
      if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
      await this.#refresh();
      return this.#assemble({ timeline, start }, look + 1);
    }
  }

  #isKnown(name: string): boolean {
    const segment = parseSegmentName(name, this.#at.segmentBytes);
    if (!segment) return false;
    return this.#index.touching(segment.start).some((object) => object.timeline === segment.timeline);
  }

  #mayHaveGrown(timeline: number, start: bigint): boolean {
    return (this.#index.newestStart(timeline) ?? start) < start;
  }

  /** A store that is away must never look like WAL that is not there: we wait, and so does the server. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isRetryable(error) || this.#stopped) throw error;
        this.#at.run.log.warn('WAL cannot be fetched now; the recovery waits', { error: String(error) });
        await this.#at.run.clock.sleep(RETRY_MS, AbortSignal.any([this.#at.run.signal, this.#end.signal]));
      }
    }
  }
}

/**
 * Serves the server's wishes while `work` runs. Nobody feeds the server any more once the signal has fired or a wish can
 * never be met: the run that `work` is given ends it then. The call ends when both have.
 */
export async function whileFeeding<T>(
  options: FeederOptions,
  work: (feeder: Feeder, run: Run) => Promise<T>,
): Promise<T> {
  const feeder = new Feeder(options);
  const ender = new AbortController();
  const signal = AbortSignal.any([options.run.signal, ender.signal]);
  const serving = feeder.serve().catch((error: unknown) => ender.abort(error));
  try {
    return await work(feeder, { ...options.run, signal });
  } finally {
    feeder.stop();
    await serving;
  }
}
