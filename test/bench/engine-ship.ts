import { once } from 'node:events';
import { plainRun } from '../../activities/io/run.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { ShipOptions, WalVault } from '../../activities/sources/source.ts';
import { compareLsn, formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { Facts, JobOf, Tools } from './engine-tools.ts';
import { DEFAULTS } from './engine-tools.ts';

const SHIP: ShipOptions = {
  shipEveryMs: DEFAULTS.wal.shipEvery,
  // Records of its own would keep an idle server writing.
  heartbeatEveryMs: 0,
  spoolBytes: DEFAULTS.wal.spool,
  slot: 'lifeboat_bench',
};

export async function ship(job: JobOf<'ship'>, { wal, postgres }: Tools): Promise<Facts> {
  const stopper = new AbortController();
  const stored = new Stored(wal, () => {
    if (job.untilLsn !== undefined && compareLsn(stored.endLsn, job.untilLsn) >= 0) stopper.abort();
  });
  if (job.untilLsn === undefined) void once(process.stdin.resume(), 'end').then(() => stopper.abort());
  const log = createLogShipping('bench', postgres, plainRun({ signal: stopper.signal }));
  await log.ship(stored.wal, SHIP);
  const { bytes, wallMs } = stored;
  return { bytes, wallMs, endLsn: Number(parseLsn(stored.endLsn)) };
}

/** Counts what became durable, from the first byte on: what is stored behind a hole does not count yet. */
class Stored {
  readonly wal: WalVault;
  readonly #startedMs = performance.now();
  #parts: { start: bigint; end: bigint }[] = [];
  #start = -1n;
  #end = -1n;
  #endedMs = 0;

  constructor(inner: WalVault, onStored: () => void) {
    this.wal = {
      ...inner,
      put: async (piece, bytes) => {
        const start = parseLsn(piece.startLsn);
        if (this.#start < 0n) this.#start = this.#end = start;
        const outcome = await inner.put(piece, bytes);
        this.#parts.push({ start, end: start + BigInt(bytes.length) });
        this.#advance();
        onStored();
        return outcome;
      },
    };
  }

  get endLsn(): string {
    return formatLsn(this.#end < 0n ? 0n : this.#end);
  }

  get bytes(): number {
    return Number(this.#end - this.#start);
  }

  get wallMs(): number {
    return this.#endedMs - this.#startedMs;
  }

  #advance(): void {
    for (;;) {
      const next = this.#parts.find(({ start, end }) => start <= this.#end && end > this.#end);
      if (!next) break;
      this.#end = next.end;
      this.#endedMs = performance.now();
    }
    this.#parts = this.#parts.filter(({ end }) => end > this.#end);
  }
}
