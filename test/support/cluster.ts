import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { crc32c } from '../../activities/io/crc32c.ts';
import { SCRATCH_PREFIX } from '../../workers/dev/scratch.ts';
import { run, serverUser } from './postgres.ts';

export interface ClusterKind {
  /** Folder of initdb. */
  binaries: string;
  args: readonly string[];
}

/**
 * A cluster fresh from initdb, with a system identifier of its own. The files of one run of the tests share what initdb makes,
 * one of each kind, and copy it: that takes a tenth of the time.
 */
export async function makeCluster(dataDir: string, kind: ClusterKind): Promise<void> {
  const shared = tmpdir();
  // Nobody would remove it elsewhere.
  if (!basename(shared).startsWith(SCRATCH_PREFIX)) return initdb(dataDir, kind);
  const name = createHash('sha256').update(JSON.stringify(kind)).digest('hex').slice(0, 16);
  const template = join(shared, `initdb-${name}`);
  if (!existsSync(template)) await makeTemplate(template, kind);
  await run('cp', ['-a', template, dataDir]);
  await giveIdentity(dataDir);
}

async function initdb(dataDir: string, { binaries, args }: ClusterKind): Promise<void> {
  await run(join(binaries, 'initdb'), ['-D', dataDir, '-U', 'postgres', '--no-sync', ...args]);
}

/** Two files at once may make the same one: the first that is whole stays. */
async function makeTemplate(template: string, kind: ClusterKind): Promise<void> {
  const staging = await mkdtemp(`${template}-staging-`);
  try {
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) await chown(staging, uid, gid);
    await chmod(staging, 0o755);
    const made = join(staging, 'data');
    await initdb(made, kind);
    await rename(made, template).catch((error: unknown) => {
      if (!existsSync(template)) throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Where a segment's first page header has the system identifier (xlog_internal.h, XLogLongPageHeaderData). */
const WAL_SYSTEM_ID_AT = 24;

/** The identifier stands first in pg_control, whose last field is a sum of what is before it, and in each segment of WAL: small ones are many. */
async function giveIdentity(dataDir: string): Promise<void> {
  const id = (BigInt(Math.floor(Date.now() / 1000)) << 32n) | BigInt(randomBytes(4).readUInt32LE());
  const path = join(dataDir, 'global/pg_control');
  const control = await readFile(path);
  const sumAt = sumPlace(control);
  control.writeBigUInt64LE(id, 0);
  control.writeUInt32LE(crc32c(control.subarray(0, sumAt)), sumAt);
  await writeFile(path, control);
  const wal = join(dataDir, 'pg_wal');
  for (const name of (await readdir(wal)).filter((each) => /^[0-9A-F]{24}$/.test(each))) {
    const segment = await readFile(join(wal, name));
    segment.writeBigUInt64LE(id, WAL_SYSTEM_ID_AT);
    await writeFile(join(wal, name), segment);
  }
}

function sumPlace(control: Buffer): number {
  for (let at = 128; at < 512; at += 4) if (crc32c(control.subarray(0, at)) === control.readUInt32LE(at)) return at;
  throw new Error('pg_control has no sum');
}
