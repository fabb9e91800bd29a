import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of the test's own, gone afterwards. */
export async function withTempDir<T>(callback: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'lifeboat-test-'));
  try {
    return await callback(path);
  } finally {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}
