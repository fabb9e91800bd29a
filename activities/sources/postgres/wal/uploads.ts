import { findFailure, isRetryable } from '../../../../workflows/model/failure.ts';
import { formatLsn } from '../../../../workflows/model/lsn.ts';
import type { Run } from '../../../io/run.ts';
import type { WalPiece, WalVault } from '../../source.ts';
import type { Chunk } from './chunk.ts';
import { chunkEnd, isFull } from './chunk.ts';
import { isLong } from './patience.ts';
import type { Patience } from './patience.ts';

interface UploadUse {
  vault: WalVault;
  run: Run;
  patience: Patience;
  identity: { systemId: string; timeline: number };
  durable: bigint;
  /** Called when more is durable than before. */
  onDurable(): void;
}

interface Upload {
  end: bigint;
  done: boolean;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/**
 * Puts pieces and whole chunks into the vault, several at a time, and knows up to where everything is durable. A store
 * that is away is waited for while our patience lasts: the server keeps the WAL until we report it flushed.
 */
export class Uploads {
  readonly #vault: WalVault;
  readonly #run: Run;
  readonly #patience: Patience;
  readonly #identity: { systemId: string; timeline: number };
  readonly #onDurable: () => void;
  /** In order of position; those at the head that are done are dropped, which moves `durable`. */
  readonly #pending: Upload[] = [];
  readonly #flying = new Set<Promise<void>>();
  #durable: bigint;
  #heldBytes = 0;
  #wake: (() => void)[] = [];
  #failed: Error | undefined;
  #troubleSinceMs: number | undefined;

  constructor(use: UploadUse) {
    this.#vault = use.vault;
    this.#run = use.run;
    this.#patience = use.patience;
    this.#identity = use.identity;
    this.#durable = use.durable;
    this.#onDurable = () => use.onDurable();
  }

  /** First position that is not yet durable in the vault. */
  get durable(): bigint {
    return this.#durable;
  }

  /** Since when the store refuses us, milliseconds; undefined when it does not. */
  get troubleSinceMs(): number | undefined {
    return this.#troubleSinceMs;
  }

  /** Fails when an upload failed for good; otherwise resolves when less than `bytes` wait in memory. */
  async room(bytes: number): Promise<void> {
    while (this.#heldBytes >= bytes && !this.#failed) await new Promise<void>((resolve) => this.#wake.push(resolve));
    this.check();
  }

  full(bytes: number): boolean {
    return this.#heldBytes >= bytes;
  }

  check(): void {
    if (this.#failed) throw this.#failed;
  }

  /** The bytes of an open chunk that have not gone out yet, as one piece. Resolves when it is over, however it went. */
  async piece(chunk: Chunk): Promise<void> {
    // After a restart the server sends again what is shipped already.
    if (chunk.filled <= chunk.shipped) return;
    const from = chunk.shipped;
    const bytes = Buffer.from(chunk.bytes.subarray(from, chunk.filled));
    const commit = chunk.newestSincePieceMicros;
    chunk.shipped = chunk.filled;
    delete chunk.newestSincePieceMicros;
    await this.#start(chunkEnd(chunk), () => this.#put(chunk.start + BigInt(from), bytes, commit));
  }

  /** A full chunk as one object; its pieces go when it is stored. */
  whole(chunk: Chunk, pieces: () => Promise<void>): void {
    if (!isFull(chunk)) throw new Error('chunk is not full');
    const earlier = [...this.#flying];
    void this.#start(chunkEnd(chunk), async () => {
      await this.#put(chunk.start, chunk.bytes, chunk.newestCommitMicros);
      // A piece of it that is still on its way would appear after the others were removed, and stay.
      await Promise.all(earlier);
      await pieces().catch((error: unknown) =>
        this.#run.log.warn('pieces of a stored chunk remain', { error: String(error) }),
      );
    });
  }

  /** Waits for everything that was started. */
  async settle(): Promise<void> {
    await this.ended();
    this.check();
  }

  /** Resolves when nothing is under way any more, however it went. With the run's signal fired nothing begins again. */
  async ended(): Promise<void> {
    await Promise.all(this.#flying);
  }

  #start(end: bigint, work: () => Promise<void>): Promise<void> {
    const upload = { end, done: false };
    const bytes = Number(end - this.#lastEnd());
    this.#pending.push(upload);
    this.#heldBytes += bytes;
    const running = work()
      .then(() => this.#finish(upload))
      .catch((error: unknown) => void (this.#failed ??= findFailure(error) ?? (error as Error)))
      .finally(() => {
        this.#heldBytes -= bytes;
        this.#flying.delete(running);
        for (const wake of this.#wake.splice(0)) wake();
      });
    this.#flying.add(running);
    return running;
  }

  #lastEnd(): bigint {
    return this.#pending.at(-1)?.end ?? this.#durable;
  }

  #finish(upload: Upload): void {
    upload.done = true;
    if (this.#pending[0]?.done) this.#patience.good();
    const before = this.#durable;
    while (this.#pending[0]?.done) this.#durable = this.#pending.shift()?.end ?? this.#durable;
    if (this.#durable > before) this.#onDurable();
  }

  async #put(start: bigint, bytes: Buffer, lastCommitMicros: number | undefined): Promise<void> {
    const commit = lastCommitMicros === undefined ? {} : { lastCommitMicros };
    const piece: WalPiece = { ...this.#identity, startLsn: formatLsn(start), ...commit };
    let sinceMs: number | undefined;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      this.#run.signal.throwIfAborted();
      try {
        await this.#vault.put(piece, bytes);
        this.#troubleSinceMs = undefined;
        return;
      } catch (error) {
        if (!isRetryable(error)) throw error;
        const nowMs = this.#run.clock.nowMs();
        sinceMs ??= nowMs;
        this.#troubleSinceMs ??= nowMs;
        // Its neighbours may get through all the time, and nothing behind it is durable.
        if (isLong(sinceMs, nowMs)) throw error;
        this.#run.log.warn('WAL cannot be stored now; the database keeps it', {
          lsn: piece.startLsn,
          error: String(error),
        });
        await this.#run.clock.sleep(waitMs, this.#run.signal);
      }
    }
  }
}
