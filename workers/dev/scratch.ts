import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY_DISK = '/dev/shm';
/** Names of these folders begin so. */
export const SCRATCH_PREFIX = 'lifeboat-test-';
/** statfs(2) */
const TMPFS_MAGIC = 0x01021994;
/** Several times what the tests have at once. */
const WANTED_BYTES = 10 * 2 ** 30;

/**
 * A folder for everything that tests write, gone when they are over, or with the next run where they were killed: in memory where there is plenty, because
 * making and removing thousands of clusters' files costs a disk more than all the rest; else where temporary files go.
 * Where TMPDIR is set, that counts.
 */
export async function testScratch(): Promise<AsyncDisposable & { path: string }> {
  await removeAbandoned();
  const parent = process.env['TMPDIR'] === undefined && (await hasRoom()) ? MEMORY_DISK : tmpdir();
  let path = await newFolder(parent);
  if (parent === MEMORY_DISK && !(await runsPrograms(path))) {
    await rm(path, { recursive: true });
    path = await newFolder(tmpdir());
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** What a killed run left would stay in memory for as long as the machine runs. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(MEMORY_DISK).catch(() => [])) {
    const pid = new RegExp(`^${SCRATCH_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(join(MEMORY_DISK, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function hasRoom(): Promise<boolean> {
  const disk = await statfs(MEMORY_DISK).catch(() => undefined);
  if (disk?.type !== TMPFS_MAGIC) return false;
  return Math.min(disk.bavail * disk.bsize, freemem()) >= WANTED_BYTES;
}

/** Servers run as another user, who has to get through it. */
async function newFolder(parent: string): Promise<string> {
  const path = await mkdtemp(join(parent, `${SCRATCH_PREFIX}${process.pid}-`));
  await chmod(path, 0o1777);
  return path;
}

/** A container may mount it so that it does not. */
async function runsPrograms(folder: string): Promise<boolean> {
  const program = join(folder, 'program');
  await writeFile(program, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  const { status } = spawnSync(program);
  await rm(program);
  return status === 0;
}
