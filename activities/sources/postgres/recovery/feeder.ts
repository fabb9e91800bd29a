import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRetryable } from '../../../../workflows/model/failure.ts';
import { parseSegmentName, segmentName } from '../../../../workflows/model/lsn.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { release, SPARE_BYTES } from '../../../io/memory.ts';
import type { Run } from '../../../io/run.ts';
import { settledWithin } from '../../../io/settled-within.ts';
import type { WalVault } from '../../source.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { CopiedWal } from './copied-wal.ts';
import type { Place } from './place.ts';

/** Segments kept ready ahead of the one that the server took last. */
const AHEAD_BYTES = 128 * 1024 * 1024;
/** Segments fetched ahead at once: each holds its bytes twice for a moment. */
const AHEAD_AT_ONCE = 3;
const POLL_MS = 10;
const RETRY_MS = 1_000;
/** For what was begun when nobody is fed any more. */
const ENDING_MS = 5_000;

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
  readonly #stored: CopiedWal;
  readonly #end = new AbortController();
  #served = 0;

  constructor(options: FeederOptions) {
    this.#at = options;
    this.#stored = new CopiedWal({ ...options, flying: (name) => this.#fetching.get(name) });
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
    await this.#patiently(() => this.#stored.refresh());
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
      if (this.#stored.has(next) && !this.#ready.has(next)) this.#ahead.push(next);
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
    const content = await this.#stored.file(name);
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
