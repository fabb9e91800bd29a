import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../support/postgres.ts';
import type { World } from './world.ts';

/** Reports are written for people; a restore leaves its own. */
const KEPT = 'reports';

/** Names below the folder of restores that are not meant to be there between actions. */
export async function copiesIn({ scratch }: Pick<World, 'scratch'>): Promise<string[]> {
  return (await readdir(scratch)).filter((name) => name !== KEPT);
}

/** Ends recovered servers that have been looked at, and removes them with all that belongs to them. */
export async function discardCopies(world: Pick<World, 'scratch' | 'server'>): Promise<void> {
  const { scratch, server } = world;
  for (const name of await copiesIn(world)) {
    const path = join(scratch, name);
    if (existsSync(join(path, 'postmaster.pid')))
      await run(join(server.binaries, 'pg_ctl'), ['-D', path, '-m', 'immediate', '-w', 'stop']);
    await rm(path, { recursive: true });
  }
}
