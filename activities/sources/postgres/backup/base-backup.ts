import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import type { Row } from '../../../io/postgres/replication.ts';
import { command, literal } from '../../../io/postgres/replication.ts';

export interface BaseBackupOptions {
  label: string;
  checkpoint: 'fast' | 'spread';
  maxRateBytes?: number;
  signal: AbortSignal;
}

/** What arrives, in order. Buffers are valid only until the call returns; a promise holds the stream back. */
export interface BaseBackupSink {
  /** The server has started; tablespaces are oid -> location. */
  begin(start: { lsn: Lsn; timeline: number; totalBytes: number; tablespaces: Map<string, string> }): void;
  /** A tar archive starts: "base.tar" or "<oid>.tar". */
  archive(name: string): void;
  /** The server's backup manifest starts. */
  manifest(): void;
  data(bytes: Buffer): void | Promise<void>;
}

export interface BaseBackupEnd {
  startLsn: Lsn;
  stopLsn: Lsn;
  timeline: number;
}

/** BASE_BACKUP over a replication connection (manual 54.4). The server computes CRC-32C and verifies page checksums. */
export async function streamBaseBackup(
  client: SqlClient,
  options: BaseBackupOptions,
  sink: BaseBackupSink,
): Promise<BaseBackupEnd> {
  let start: Row = {};
  const onRows = (rows: Row[], index: number): void => {
    if (index === 0) start = rows[0] ?? {};
    if (index === 1) sink.begin(beginning(start, rows));
  };
  const sets = await command(client, commandText(options), {
    signal: options.signal,
    onRows,
    onCopy: (chunk) => onChunk(chunk, sink),
  });
  const end = sets.at(-1)?.[0] ?? {};
  return { startLsn: start['recptr'] ?? '', stopLsn: end['recptr'] ?? '', timeline: Number(end['tli']) };
}

function commandText(options: BaseBackupOptions): string {
  const parts = [
    `LABEL ${literal(options.label)}`,
    'PROGRESS true',
    `CHECKPOINT ${literal(options.checkpoint)}`,
    // The vault, not an archiver, holds the WAL: the caller waits for it there.
    'WAIT false',
    `MANIFEST 'yes'`,
    `MANIFEST_CHECKSUMS 'CRC32C'`,
    'TABLESPACE_MAP true',
    'VERIFY_CHECKSUMS true',
    ...(options.maxRateBytes === undefined
      ? []
      : [`MAX_RATE ${Math.max(32, Math.round(options.maxRateBytes / 1024))}`]),
  ];
  return `BASE_BACKUP (${parts.join(', ')})`;
}

function beginning(start: Row, rows: Row[]): Parameters<BaseBackupSink['begin']>[0] {
  const tablespaces = new Map(
    rows.flatMap((row) => (row['spcoid'] ? [[row['spcoid'], row['spclocation'] ?? ''] as const] : [])),
  );
  const totalBytes = rows.reduce((total, row) => total + Number(row['size'] ?? 0) * 1024, 0);
  return { lsn: start['recptr'] ?? '', timeline: Number(start['tli']), totalBytes, tablespaces };
}

/** CopyData messages are told apart by their first byte: new archive, manifest, data, progress. */
function onChunk(chunk: Buffer, sink: BaseBackupSink): void | Promise<void> {
  switch (chunk[0]) {
    case 0x64:
      return sink.data(chunk.subarray(1));
    case 0x6e:
      return sink.archive(chunk.toString('utf8', 1, chunk.indexOf(0, 1)));
    case 0x6d:
      return sink.manifest();
    case 0x70:
      return undefined;
    default:
      throw failure('Unsupported', `base backup holds a message of kind ${chunk[0]}`, { expected: 'n, m, d or p' });
  }
}
