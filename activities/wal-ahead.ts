import { parseSegmentName, segmentName } from '../workflows/model/lsn.ts';

/** Segments on their way before they are asked for: each takes its length in memory. Longer ones are not read ahead. */
const AHEAD_BYTES = 64 * 2 ** 20;
const MOST_AHEAD = 4;
/** A server that does not ask any more has come to the end of its WAL. */
const IDLE_MS = 60_000;

/** A segment that is stored to its end; undefined for any other, of which nothing is kept: it may be there a moment later. */
export type ReadWhole = (name: string) => Promise<Buffer | undefined>;

/**
 * A server that recovers asks for one segment after the other and waits for each. Those behind the one that it asked for are read
 * meanwhile. What is not there, or cannot be read, is asked for again when it is wanted.
 */
export class WalAhead {
  readonly #read: ReadWhole;
  readonly #segmentBytes: number;
  readonly #ahead = new Map<string, Promise<Buffer | undefined>>();
  #idle: NodeJS.Timeout | undefined;

  constructor(read: ReadWhole, segmentBytes: number) {
    this.#read = read;
    this.#segmentBytes = segmentBytes;
  }

  /** Undefined when it was not read ahead. */
  async take(name: string): Promise<Buffer | undefined> {
    const known = this.#ahead.get(name);
    this.#ahead.delete(name);
    return known;
  }

  /** Begins to read what comes behind a segment, and forgets everything else. */
  goOn(name: string): void {
    const next = this.#behind(name);
    for (const other of this.#ahead.keys()) if (!next.includes(other)) this.#ahead.delete(other);
    for (const each of next) if (!this.#ahead.has(each)) this.#begin(each);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#ahead.clear(), IDLE_MS).unref();
  }

  #behind(name: string): string[] {
    const segment = parseSegmentName(name, this.#segmentBytes);
    if (!segment) return [];
    const size = BigInt(this.#segmentBytes);
    const count = Math.min(MOST_AHEAD, Math.floor(AHEAD_BYTES / this.#segmentBytes));
    return Array.from({ length: count }, (_, index) =>
      segmentName(segment.timeline, segment.start + size * BigInt(index + 1), this.#segmentBytes),
    );
  }

  #begin(name: string): void {
    const reading = this.#read(name).catch(() => undefined);
    this.#ahead.set(name, reading);
    void reading.then((found) => {
      if (!found && this.#ahead.get(name) === reading) this.#ahead.delete(name);
    });
  }
}
