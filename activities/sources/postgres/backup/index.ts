import { failure } from '../../../../workflows/model/failure.ts';
import type { FileTree } from '../../../../workflows/model/manifest.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { connect, query, withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupFacts, BackupOptions, PartSink } from '../../source.ts';
import { checkSameIdentity, readIdentity, readSettings } from '../identity.ts';
import type { PostgresOptions } from '../options.ts';
import type { ServerManifest } from './backup-manifest.ts';
import { parseServerManifest } from './backup-manifest.ts';
import type { BaseBackupEnd, BaseBackupSink } from './base-backup.ts';
import { streamBaseBackup } from './base-backup.ts';
import { Packer } from './packer.ts';
import { TarReader } from './tar.ts';

/** Takes a full base backup of a running cluster into `out`. Consistent only with the WAL from start to stop. */
export async function takeBackup(
  options: PostgresOptions,
  use: { out: PartSink; backup: BackupOptions; run: Run },
): Promise<BackupFacts> {
  const { connection } = options;
  return withConnection(connection, {}, async (sql) => {
    const identity = await readIdentity(sql);
    const settings = await readSettings(sql);
    const replication = await connect(connection, { replication: true });
    try {
      const startedAt = await serverTime(sql);
      const taken = await stream(replication, use);
      checkSameIdentity(identity, await readIdentity(sql));
      if (taken.end.timeline !== identity.timeline)
        checkSameIdentity(identity, { ...identity, timeline: taken.end.timeline });
      return {
        identity,
        ...{ timeline: identity.timeline, startLsn: taken.end.startLsn, stopLsn: taken.end.stopLsn },
        ...{ startedAt, stoppedAt: await serverTime(sql), consistency: 'consistent-after-wal' },
        pageChecksums: settings['data_checksums'] === 'on',
        ...{ settings, parts: taken.packer.parts, trees: taken.packer.trees },
      };
    } finally {
      await replication.end().catch(() => undefined);
    }
  });
}

async function serverTime(sql: SqlClient): Promise<string> {
  const [row] = await query<{ now: string }>(
    sql,
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
  );
  return row?.now ?? '';
}

interface Taken {
  end: BaseBackupEnd;
  packer: Packer;
}

async function stream(client: SqlClient, use: { out: PartSink; backup: BackupOptions; run: Run }): Promise<Taken> {
  const { out, backup, run } = use;
  const packer = new Packer(out);
  const receiver = new Receiver(packer, run);
  const rate = backup.maxRateBytes === undefined ? {} : { maxRateBytes: backup.maxRateBytes };
  const order = { label: backup.label, checkpoint: backup.checkpoint, signal: run.signal, ...rate };
  try {
    const end = await streamBaseBackup(client, order, receiver);
    receiver.finish();
    await packer.finish();
    return { end, packer };
  } finally {
    // Parts in flight must not outlive the attempt that wrote them.
    await packer.settle();
  }
}

/** Routes the stream: archives to the tar reader and so to the packer, the server's manifest to memory. */
class Receiver implements BaseBackupSink {
  readonly #packer: Packer;
  readonly #run: Run;
  readonly #manifest: Buffer[] = [];
  #tablespaces = new Map<string, string>();
  #totalBytes = 0;
  #doneBytes = 0;
  #tar: TarReader | undefined;

  constructor(packer: Packer, run: Run) {
    this.#packer = packer;
    this.#run = run;
  }

  begin(start: { totalBytes: number; tablespaces: Map<string, string> }): void {
    this.#totalBytes = start.totalBytes;
    this.#tablespaces = start.tablespaces;
  }

  archive(name: string): void {
    this.#tar?.end();
    const id = name.replace(/\.tar$/, '');
    this.#packer.startTree(id, this.#tablespaces.get(id));
    this.#tar = new TarReader({
      entry: (entry) => this.#packer.startEntry(entry),
      content: (bytes) => this.#packer.add(bytes),
      done: () => {},
    });
  }

  manifest(): void {
    this.#tar?.end();
    this.#tar = undefined;
  }

  data(bytes: Buffer): void | Promise<void> {
    if (!this.#tar) {
      this.#manifest.push(Buffer.from(bytes));
      return;
    }
    this.#tar.push(bytes);
    this.#doneBytes += bytes.length;
    this.#run.progress({
      phase: 'copy',
      doneBytes: this.#doneBytes,
      totalBytes: Math.max(this.#totalBytes, this.#doneBytes),
    });
    return this.#packer.backpressure();
  }

  /** Every file the server lists arrived with the bytes it read, and no other. */
  finish(): void {
    const content = Buffer.concat(this.#manifest);
    compare(this.#packer.trees, parseServerManifest(content));
    this.#addServerManifest(content);
  }

  /** pg_verifybackup and later incremental backups want the server's own manifest in the data directory. */
  #addServerManifest(content: Buffer): void {
    const base = this.#packer.trees.find((tree) => tree.id === 'base');
    if (!base) throw failure('Integrity', 'backup stream holds no data directory', { expected: 'base.tar' });
    this.#packer.trees.splice(this.#packer.trees.indexOf(base), 1);
    this.#packer.trees.push(base);
    this.#packer.startEntry({ path: 'backup_manifest', type: 'file', bytes: content.length, mode: 0o600, mtimeMs: 0 });
    this.#packer.add(content);
  }
}

function compare(trees: FileTree[], server: ServerManifest): void {
  const missing = new Map(server);
  for (const tree of trees) {
    for (const file of tree.files) {
      const path = tree.id === 'base' ? file.path : `pg_tblspc/${tree.id}/${file.path}`;
      const listed = missing.get(path);
      missing.delete(path);
      if (!listed || file.type !== 'file') continue;
      if (listed.bytes === file.bytes && listed.crc32c === file.crc32c) continue;
      throw failure('Integrity', `${path} changed between the server and us`, {
        place: path,
        expected: `${listed.bytes} bytes, CRC-32C ${listed.crc32c.toString(16)}`,
        found: `${file.bytes} bytes, CRC-32C ${(file.crc32c ?? 0).toString(16)}`,
        hint: 'run the backup again; if it repeats, check the network and the memory of both hosts',
      });
    }
  }
  const [lost] = missing.keys();
  if (lost === undefined) return;
  throw failure('Integrity', `${lost} is in the server's list and not in its stream`, {
    place: lost,
    found: `${missing.size} files missing`,
    hint: 'run the backup again',
  });
}
