import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import type { BackupOptions } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { PointKind, PointSummary } from '../../workflows/model/manifest.ts';
import { unpack } from './folder-sink.ts';
import { makeOwned, run, serverUser } from './postgres.ts';
import type { TestPostgres } from './postgres.ts';
import { recoveryOptions } from './recovery.ts';

/** Settings of a server that can be asked for what changed. */
export const SUMMARIZING = { summarize_wal: 'on' };

export const rows = (from: number, to: number): string =>
  `select g as id, repeat(md5(g::text), 8) as body from generate_series(${from}, ${to}) g`;

/** Tables of so many rows each, and one more, `far`, in a tablespace beside the data directory. */
export async function fillTables(server: TestPostgres, names: readonly string[], count: number): Promise<void> {
  const space = join(server.dataDir, '..', 'space');
  await makeOwned(space);
  await server.sql(`create tablespace space location '${space}'`);
  for (const name of names) await server.sql(`create table ${name} as ${rows(1, count)}`);
  await server.sql(`create table far tablespace space as ${rows(1, count)}`);
}

export interface Step {
  id: string;
  /** Absent: a full one. */
  parent?: string;
  kind?: PointKind;
  options?: PostgresOptions;
  backup?: Partial<BackupOptions>;
}

/** A published point on top of another. */
export async function takePoint(server: TestPostgres, vault: Vault, step: Step): Promise<PointSummary> {
  const { id, parent, kind = 'incremental', options = recoveryOptions(server) } = step;
  await using draft = await vault.begin(id);
  const since = parent === undefined || kind === 'full' ? {} : { since: { kind, parent: await vault.open(parent) } };
  const facts = await takeBackup(options, {
    out: draft,
    backup: { checkpoint: 'fast', label: 'test', ...since, ...step.backup },
    run: plainRun(),
  });
  await draft.finish(facts);
  return vault.publish(id);
}

/** Each point's files as they are stored, in folders of their own, tablespaces linked: what pg_combinebackup reads. */
async function unpackLinks(vault: Vault, points: readonly string[], dir: string): Promise<string[]> {
  const folders: string[] = [];
  for (const point of points) {
    const folder = join(dir, point);
    await makeOwned(folder);
    const reader = await vault.open(point);
    const parts = new Map<number, Buffer>();
    for (const part of reader.manifest.parts) parts.set(part.number, await reader.readPart(part));
    await unpack(reader.manifest, parts, folder);
    for (const { id } of reader.manifest.trees)
      if (/^\d+$/.test(id)) await symlink(join(folder, id), join(folder, 'base', 'pg_tblspc', id));
    folders.push(folder);
  }
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', serverUser().name, dir]);
  return folders;
}

/** What PostgreSQL's own program makes of a chain: sums of all files by tree and path. */
export async function combinedByServer(
  use: { server: TestPostgres; vault: Vault; points: readonly string[] },
  dir: string,
): Promise<Map<string, string>> {
  const { server, vault, points } = use;
  const folders = await unpackLinks(vault, points, dir);
  const newest = folders.at(-1) ?? '';
  const spaces = (await readdir(newest)).filter((name) => /^\d+$/.test(name));
  const out = join(dir, 'out');
  const moved = spaces.flatMap((oid) => ['-T', `${join(newest, oid)}=${join(dir, `space-${oid}`)}`]);
  const inputs = folders.map((folder) => join(folder, 'base'));
  await run(join(server.binaries, 'pg_combinebackup'), ['--no-sync', '-o', out, ...moved, ...inputs]);
  return sumsOf({ base: out, ...Object.fromEntries(spaces.map((oid) => [oid, join(dir, `space-${oid}`)])) });
}

/** Written anew by whoever restores: links to tablespaces and their map, and the list of the files. */
const OWN = /^base\/(?:pg_tblspc\/\d+|tablespace_map|backup_manifest)$/;

/** SHA-256 of every file below the folders, "folder" of every folder, by name of the tree and path. */
export async function sumsOf(trees: Record<string, string>): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (const [tree, root] of Object.entries(trees)) {
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const key = `${tree}${path.slice(root.length)}`;
      if (OWN.test(key)) continue;
      sums.set(key, entry.isDirectory() ? 'folder' : await sumOf(path));
    }
  }
  return new Map([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
