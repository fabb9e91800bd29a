import { spawnSync } from 'node:child_process';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { unpack } from './folder-sink.ts';
import type { TestPostgres } from './postgres.ts';
import { run, serverUser, withServerDir } from './postgres.ts';

/** The server's own verdict on what we stored. */
export async function verifies(
  server: TestPostgres,
  taken: { facts: BackupFacts; parts: Map<number, Buffer> },
): Promise<void> {
  await withServerDir(async (dir) => {
    await unpack(taken.facts, taken.parts, dir);
    for (const tree of taken.facts.trees) {
      if (tree.id === 'base') continue;
      const link = join(dir, 'base', 'pg_tblspc', tree.id);
      await rm(link, { force: true });
      await symlink(join(dir, tree.id), link);
    }
    const { name } = serverUser();
    if (process.getuid?.() === 0) spawnSync('chown', ['-R', name, dir]);
    await run(join(server.binaries, 'pg_verifybackup'), ['--no-parse-wal', join(dir, 'base')]);
  });
}
