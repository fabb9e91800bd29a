import { existsSync } from 'node:fs';
import { chown, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRetryable } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, parseSegmentName, segmentName } from '../../../../workflows/model/lsn.ts';
import type { TimelineHistory, WalObject } from '../../../../workflows/model/wal.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import { assembleSegment } from '../wal/segments.ts';
import type { Host } from './host.ts';
import type { Place } from './place.ts';

/** Segments kept ready ahead of the one that was asked for. */
const AHEAD_BYTES = 128 * 1024 * 1024;
const POLL_MS = 10;
const RETRY_MS = 1_000;

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
  #objects: WalObject[] = [];
  #histories: TimelineHistory[] = [];
  #stopped = false;
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
    this.#stopped = true;
  }

  /** Runs until `stop` or the signal; fails only on what no retry mends. */
  async serve(): Promise<void> {
    await this.#patiently(() => this.#refresh());
    await this.#forgetReady();
    const answering = new Set<string>();
    let broken: unknown;
    while (!this.#stopped && !this.#at.run.signal.aborted) {
      if (broken !== undefined) throw broken as Error;
      for (const name of await readdir(this.#at.place.want)) {
        if (answering.has(name)) continue;
        answering.add(name);
        void this.#answer(name)
          .catch((error: unknown) => (broken ??= error))
          .finally(() => answering.delete(name));
      }
      await this.#at.run.clock.sleep(POLL_MS);
    }
    await Promise.allSettled(this.#fetching.values());
  }

  /** What lies ready from an earlier time may be the beginning of a segment that has grown since. */
  async #forgetReady(): Promise<void> {
    const { ready } = this.#at.place;
    for (const name of await readdir(ready)) await rm(join(ready, name), { force: true });
  }

  async #refresh(): Promise<void> {
    const { wal, systemId } = this.#at;
    this.#objects = await wal.list({ systemId });
    this.#histories = await wal.histories(systemId);
  }

  async #answer(name: string): Promise<void> {
    const { place } = this.#at;
    if (existsSync(join(place.ready, name)) || existsSync(join(place.absent, name))) return;
    if (await this.#fetch(name)) {
      this.#served += 1;
      this.#fetchAhead(name);
    } else if (existsSync(join(place.want, name))) {
      await writeFile(join(place.absent, name), '');
    }
    // The request is answered; what is left of it must not be answered again for a later one of the same name.
    await rm(join(place.want, name), { force: true });
  }

  #fetchAhead(name: string): void {
    const { segmentBytes } = this.#at;
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment) return;
    for (let ahead = segmentBytes; ahead <= AHEAD_BYTES; ahead += segmentBytes) {
      const next = segmentName(segment.timeline, segment.start + BigInt(ahead), segmentBytes);
      if (this.#isKnown(next)) void this.#fetch(next).catch(() => undefined);
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
    const { place, host } = this.#at;
    const staged = join(place.spool, `${name}.new`);
    await writeFile(staged, content, { mode: 0o600 });
    if (host.as) await chown(staged, host.as.uid, host.as.gid);
    await rename(staged, join(place.ready, name));
    return true;
  }

  async #content(name: string): Promise<Buffer | undefined> {
    const { wal, systemId, segmentBytes } = this.#at;
    const history = /^([0-9A-F]{8})\.history$/.exec(name)?.[1];
    if (history !== undefined) return wal.readHistory(systemId, Number.parseInt(history, 16));
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment) return undefined;
    // Only at its very end can the vault have gained something since it was listed.
    if (!this.#isKnown(name) && this.#mayHaveGrown(segment.timeline, formatLsn(segment.start))) await this.#refresh();
    const query = {
      timeline: segment.timeline,
      start: formatLsn(segment.start),
      segmentBytes,
      histories: this.#histories,
    };
    return assembleSegment(wal, this.#objects, query);
  }

  #isKnown(name: string): boolean {
    const segment = parseSegmentName(name, this.#at.segmentBytes);
    if (!segment) return false;
    const start = formatLsn(segment.start);
    const end = formatLsn(segment.start + BigInt(this.#at.segmentBytes));
    const touches = (object: WalObject): boolean =>
      compareLsn(object.endLsn, start) > 0 && compareLsn(object.startLsn, end) < 0;
    return this.#objects.some((object) => object.timeline === segment.timeline && touches(object));
  }

  #mayHaveGrown(timeline: number, start: Lsn): boolean {
    const known = this.#objects.filter((object) => object.timeline === timeline);
    return known.length > 0 && known.every((object) => parseLsn(object.startLsn) < parseLsn(start));
  }

  /** A store that is away must never look like WAL that is not there: we wait, and so does the server. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isRetryable(error) || this.#stopped) throw error;
        this.#at.run.log.warn('WAL cannot be fetched now; the recovery waits', { error: String(error) });
        await this.#at.run.clock.sleep(RETRY_MS, this.#at.run.signal);
      }
    }
  }
}

/** Serves the server's wishes while `work` runs; a wish that can never be met ends both. */
export async function whileFeeding<T>(options: FeederOptions, work: (feeder: Feeder) => Promise<T>): Promise<T> {
  const feeder = new Feeder(options);
  const failed = feeder.serve().then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);
  try {
    return await Promise.race([work(feeder), failed]);
  } finally {
    feeder.stop();
  }
}
