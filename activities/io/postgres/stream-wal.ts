import { parseLsn } from '../../../workflows/model/lsn.ts';
import type { Lsn } from '../../../workflows/model/lsn.ts';
import type { Row } from './replication.ts';
import { asText, identifier } from './replication.ts';
import type { ReplicationConnection } from './replication-connection.ts';

export interface StreamOptions {
  /** Absent: no slot; the server may remove WAL that we have not read. */
  slot?: string;
  /** Where to start; a segment's first byte by custom. */
  startLsn: Lsn;
  timeline: number;
  /** A status is sent at least so often, and at once when the server asks. Below half of wal_sender_timeout. */
  statusEveryMs: number;
  /** The server is taken for dead when it answers nothing for so long, milliseconds; asked once after half of it. */
  silenceMs: number;
  /**
   * Bytes of WAL from position `start`, in order and without holes; never called again before its promise settled.
   * The buffer is valid until then. `serverTimeMicros` is since 1970-01-01 UTC by the server's clock.
   */
  onWal(start: bigint, bytes: Buffer, serverTimeMicros: bigint): void | Promise<void>;
  /** The server has nothing newer than `walEnd` at present. */
  onKeepalive?(walEnd: bigint, serverTimeMicros: bigint): void;
  /** Position below which everything is durable with us: the slot may drop the rest. 0n = nothing yet. */
  flushed(): bigint;
}

export interface StreamEnd {
  /** Set when the timeline ended: the one that follows, and where it starts. */
  nextTimeline?: number;
  switchLsn?: Lsn;
}

export interface WalStream {
  /** Settles once: the timeline ended, `stop` was called, or a failure. The connection can be used again unless it failed. */
  ended: Promise<StreamEnd>;
  /** Tells the server the flushed position and asks it to end; what it has sent already is still delivered. A repeat does nothing. */
  stop(): void;
  /** Sends a status now, as after a flush. */
  status(): void;
}

/** 2000-01-01 in microseconds after 1970-01-01: PostgreSQL's epoch. */
export const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;

/** START_REPLICATION ... PHYSICAL (manual 55.4). Statuses go on while `onWal` holds the stream back. */
export function startReplication(connection: ReplicationConnection, options: StreamOptions): WalStream {
  const stream = new Stream(connection, options);
  const slot = options.slot === undefined ? '' : `SLOT ${identifier(options.slot)} `;
  const text = `START_REPLICATION ${slot}PHYSICAL ${options.startLsn} TIMELINE ${options.timeline}`;
  const ended = connection
    .run(text, {
      onCopyStart: () => stream.start(),
      onCopy: (message) => stream.receive(message),
      onCopyDone: () => stream.finish(),
      onSilence: () => stream.ask(),
      silenceMs: Math.ceil(options.silenceMs / 2),
    })
    .then((sets) => streamEnd(sets.flat().map(asText)))
    .finally(() => stream.end());
  return { ended, stop: () => stream.stop(), status: () => stream.status() };
}

class Stream {
  readonly #connection: ReplicationConnection;
  readonly #options: StreamOptions;
  #received: bigint;
  #timer: NodeJS.Timeout | undefined;
  #streaming = false;
  #wanted = true;
  #finished = false;
  #asked = false;

  constructor(connection: ReplicationConnection, options: StreamOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#received = parseLsn(options.startLsn);
  }

  start(): void {
    this.#streaming = true;
    this.#timer = setInterval(() => this.status(), this.#options.statusEveryMs);
    this.status();
    if (!this.#wanted) this.finish();
  }

  receive(message: Buffer): void | Promise<void> {
    this.#asked = false;
    if (message[0] === XLOG_DATA) {
      const start = message.readBigInt64BE(1);
      const bytes = message.subarray(25);
      this.#received = start + BigInt(bytes.length);
      return this.#options.onWal(start, bytes, message.readBigInt64BE(17) + POSTGRES_EPOCH_MICROS);
    }
    if (message[0] !== KEEPALIVE) return;
    this.#options.onKeepalive?.(message.readBigInt64BE(1), message.readBigInt64BE(9) + POSTGRES_EPOCH_MICROS);
    if (message[17] === 1) this.status();
  }

  status(ask = false): void {
    if (!this.#streaming || this.#finished) return;
    const { clock } = this.#connection;
    const report = { received: this.#received, flushed: this.#options.flushed(), nowMs: clock.nowMs(), ask };
    this.#connection.sendCopyData(standbyStatus(report));
  }

  /** An idle server says nothing of itself: it is asked once before its silence counts. */
  ask(): boolean {
    if (this.#asked || !this.#streaming) return false;
    this.#asked = true;
    this.status(true);
    return true;
  }

  stop(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.status();
    if (this.#streaming) this.finish();
  }

  /** Our side of the COPY ends: on `stop`, or because the server's did and it waits for ours. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#connection.sendCopyDone();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#streaming = false;
  }
}

function streamEnd(rows: Row[]): StreamEnd {
  const row = rows.find((candidate) => candidate['next_tli'] !== undefined);
  if (!row) return {};
  return { nextTimeline: Number(row['next_tli']), switchLsn: row['next_tli_startpos'] ?? '' };
}

/** Standby status update: received, flushed and (never) applied position, our time, whether an answer is wanted. */
function standbyStatus(report: { received: bigint; flushed: bigint; nowMs: number; ask: boolean }): Buffer {
  const message = Buffer.alloc(34);
  message.write('r', 0, 'latin1');
  message.writeBigInt64BE(report.received, 1);
  message.writeBigInt64BE(report.flushed, 9);
  message.writeBigInt64BE(BigInt(Math.round(report.nowMs)) * 1000n - POSTGRES_EPOCH_MICROS, 25);
  message[33] = report.ask ? 1 : 0;
  return message;
}
