import { failure } from '../../../workflows/model/failure.ts';
import type { Lsn } from '../../../workflows/model/lsn.ts';
import { sqlStateOf } from './failures.ts';
import type { Row } from './replication.ts';
import { asText, literal } from './replication.ts';
import type { ReplicationConnection } from './replication-connection.ts';
import type { ServerMessage } from './wire.ts';

export interface BaseBackupOptions {
  label: string;
  checkpoint: 'fast' | 'spread';
  /** Longest wait for the first byte, milliseconds: a spread checkpoint takes its time. */
  startTimeoutMs: number;
  /** The server is taken for dead when nothing comes for so long while we read, milliseconds. */
  silenceMs: number;
  /** Bytes a second, between 32 KiB and 1 GiB; the server's throttle. */
  maxRateBytes?: number;
  /** Only what changed since the backup whose manifest was uploaded on this connection (PostgreSQL 17 and newer). */
  incremental?: boolean;
}

export interface BaseBackupStart {
  lsn: Lsn;
  timeline: number;
  /** The server's estimate of what it will send. */
  totalBytes: number;
  /** oid -> location on the server. */
  tablespaces: Map<string, string>;
}

/** What arrives, in this order; a promise holds the stream back until it settles. */
export interface BaseBackupSink {
  begin(start: BaseBackupStart): void;
  /** A tar archive starts: "base.tar" or "<tablespace oid>.tar". */
  archive(name: string): void;
  /** The server's backup manifest starts: data is JSON from now on (manual, "Backup Manifest Format"). */
  manifest(): void;
  /** Bytes of the archive or the manifest, cut anywhere; valid until the call and its promise settle. */
  data(bytes: Buffer): void | Promise<void>;
}

export interface BaseBackupEnd {
  startLsn: Lsn;
  stopLsn: Lsn;
  timeline: number;
}

const KIND = { data: 0x64, archive: 0x6e, manifest: 0x6d, progress: 0x70 } as const;
const MOST_WARNINGS = 20;
const MAX_RATE_KB = { least: 32, most: 1_048_576 };

/**
 * BASE_BACKUP (manual 55.4): the server reads, verifies page checksums, and sends tar archives and a manifest with
 * CRC-32C of every file. Integrity names the pages when a checksum of the cluster is wrong.
 */
export async function baseBackup(
  connection: ReplicationConnection,
  options: BaseBackupOptions,
  sink: BaseBackupSink,
): Promise<BaseBackupEnd> {
  const receiver = new Receiver(options, sink);
  try {
    const sets = await connection.run(commandText(options), {
      onRows: (rows, index) => receiver.rows(rows.map(asText), index),
      onCopyPiece: (piece, first, last) => receiver.piece(piece, first, last),
      onNotice: (notice) => receiver.notice(notice),
      onSilence: () => receiver.silence(),
      silenceMs: options.silenceMs,
    });
    const end = sets.at(-1)?.[0];
    const row = end && asText(end);
    return { startLsn: receiver.startLsn, stopLsn: row?.['recptr'] ?? '', timeline: Number(row?.['tli']) };
  } catch (error) {
    throw sqlStateOf(error) === 'XX001' ? damagedPages(receiver.warnings, error) : error;
  }
}

/**
 * UPLOAD_MANIFEST (manual 55.4): what the next incremental backup on this connection stands on. `source` sends the
 * `backup_manifest` of that backup in pieces of any size. A repeat replaces it. What `source` fails with is thrown as it is.
 */
export async function uploadManifest(
  connection: ReplicationConnection,
  source: (send: (bytes: Buffer) => Promise<void>) => Promise<void>,
): Promise<void> {
  await connection.run('UPLOAD_MANIFEST', { onCopyIn: source });
}

function damagedPages(warnings: string[], cause: unknown): Error {
  return failure('Integrity', 'page checksums of the cluster are wrong: nothing of this backup is kept', {
    expected: 'every page fits its checksum',
    found: warnings.join('; '),
    hint: 'find what is damaged with pg_amcheck; restore those pages before the older backups expire',
    cause,
  });
}

function commandText(options: BaseBackupOptions): string {
  const { least, most } = MAX_RATE_KB;
  const rate = options.maxRateBytes;
  const parts = [
    `LABEL ${literal(options.label)}`,
    'PROGRESS',
    `CHECKPOINT ${literal(options.checkpoint)}`,
    // The vault, not an archiver, holds the WAL: the caller waits for it there.
    'WAIT 0',
    'TABLESPACE_MAP',
    'VERIFY_CHECKSUMS 1',
    "MANIFEST 'yes'",
    // Catches a wrong write; authenticity is the cipher's and the signature's. SHA-256 would cost the server a core.
    "MANIFEST_CHECKSUMS 'CRC32C'",
    ...(options.incremental ? ['INCREMENTAL'] : []),
    ...(rate === undefined ? [] : [`MAX_RATE ${Math.min(most, Math.max(least, Math.round(rate / 1024)))}`]),
  ];
  return `BASE_BACKUP (${parts.join(', ')})`;
}

class Receiver {
  readonly warnings: string[] = [];
  readonly #sink: BaseBackupSink;
  readonly #startWaits: number;
  #start: Row = {};
  #kind = 0;
  #control = Buffer.alloc(0);
  #waits = 0;
  #sending = false;

  constructor(options: BaseBackupOptions, sink: BaseBackupSink) {
    this.#sink = sink;
    this.#startWaits = Math.ceil(options.startTimeoutMs / options.silenceMs);
  }

  get startLsn(): Lsn {
    return this.#start['recptr'] ?? '';
  }

  rows(rows: Row[], index: number): void {
    if (index === 0) this.#start = rows[0] ?? {};
    if (index !== 1) return;
    this.#sending = true;
    const tablespaces = new Map(
      rows.flatMap((row) => (row['spcoid'] ? [[row['spcoid'], row['spclocation'] ?? ''] as const] : [])),
    );
    const totalBytes = rows.reduce((total, row) => total + Number(row['size'] ?? 0) * 1024, 0);
    this.#sink.begin({ lsn: this.startLsn, timeline: Number(this.#start['tli']), totalBytes, tablespaces });
  }

  piece(piece: Buffer, first: boolean, last: boolean): void | Promise<void> {
    if (first) this.#kind = piece[0] as number;
    if (this.#kind === KIND.data) return this.#sink.data(first ? piece.subarray(1) : piece);
    this.#control = first ? Buffer.from(piece) : Buffer.concat([this.#control, piece]);
    if (last) this.#onControl(this.#control);
  }

  notice(notice: ServerMessage): void {
    if (this.warnings.length < MOST_WARNINGS) this.warnings.push(notice.message);
  }

  silence(): boolean {
    return !this.#sending && ++this.#waits < this.#startWaits;
  }

  #onControl(message: Buffer): void {
    if (this.#kind === KIND.archive) this.#sink.archive(message.toString('utf8', 1, message.indexOf(0, 1)));
    else if (this.#kind === KIND.manifest) this.#sink.manifest();
    else if (this.#kind !== KIND.progress) {
      throw failure('Unsupported', `base backup holds a message of kind ${this.#kind}`, { expected: 'n, m, d or p' });
    }
  }
}
