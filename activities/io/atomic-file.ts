import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface AtomicWrite {
  /** Final path. */
  path: string;
  /** Folder for the unfinished file; on the same file system as `path`. */
  staging: string;
  /** Fail (false) rather than replace when `path` exists: link(2) has one winner. */
  ifAbsent?: boolean;
  mode?: number;
  /** Whose it is to be; absent: ours. `mode` then holds whatever the process's mask says. */
  owner?: { uid: number; gid: number };
}

/**
 * Writes a file that is visible whole or not at all, and durable when this resolves: temporary file, fsync, rename (or
 * link), fsync of the folder. A failure leaves the old file and no temporary one.
 */
export async function writeAtomically(
  target: AtomicWrite,
  body: AsyncIterable<Uint8Array>,
): Promise<{ created: boolean }> {
  const temporary = join(target.staging, `${randomBytes(12).toString('hex')}.part`);
  try {
    await writeSynced(temporary, body, target);
    return await publish(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeSynced(path: string, body: AsyncIterable<Uint8Array>, target: AtomicWrite): Promise<void> {
  const { mode = 0o640, owner } = target;
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    if (owner) {
      await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
    }
    for await (const chunk of body) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function publish(temporary: string, target: AtomicWrite): Promise<{ created: boolean }> {
  if (!target.ifAbsent) {
    await rename(temporary, target.path);
  } else if (!(await linkIfFree(temporary, target.path))) {
    return { created: false };
  }
  await syncFolder(dirname(target.path));
  return { created: true };
}

async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes a folder entry durable (POSIX: a new name survives a crash only after its folder was synced). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** mkdir -p whose every new level is durable. */
export async function makeFolderDurable(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
}
