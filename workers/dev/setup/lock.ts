import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_AGAIN_MS = 250;
const SQLITE_BUSY = 5;

/**
 * Runs `work` while no other process holds the lock of that name. The kernel frees the lock when its holder dies
 * (SQLite locks a file byte range), so there is nothing stale to guess about. `onWait` is called once when it is taken.
 */
export async function withLock<T>(
  path: string,
  options: { onWait: () => void; signal?: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const database = new DatabaseSync(path);
  try {
    for (let tries = 0; !taken(database); tries++) {
      if (tries === 0) options.onWait();
      await delay(LOOK_AGAIN_MS, undefined, { signal: options.signal });
    }
    return await work();
  } finally {
    database.close();
  }
}

function taken(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
