import { cp, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { workflowId } from '../../workflows/model/names.ts';
import { SOURCE } from './world/runs.ts';
import type { World } from './world/world.ts';

const MOST_BYTES = 20 * 2 ** 20;

/** Keeps what tells of a failure: logs, configuration, histories of the runs, what the restores left. Returns the folder. */
export async function keepArtefacts(world: World, told: object): Promise<string> {
  const { stack, server, scratch, runs, options, config } = world;
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const folder = resolve('reports', `soak-${options.seed}-${stamp}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'failure.json'), JSON.stringify(told, undefined, 2));
  const copies: [string, string][] = [
    [join(stack.dir, 'logs'), 'logs'],
    [config, 'lifeboat.yml'],
    [join(dirname(server.dataDir), 'log'), 'postgres.log'],
    [scratch, 'restores'],
  ];
  for (const [from, name] of copies)
    await cp(from, join(folder, name), { recursive: true, filter: isSmall }).catch(() => undefined);
  const ids = new Set([workflowId.wal(SOURCE), ...runs.recent.map(({ workflowId: id }) => id)]);
  for (const id of ids) {
    const history = await runs.historyOf(id).catch((error: unknown) => String(error));
    await writeFile(join(folder, `${id.replaceAll('/', '-')}.history.json`), JSON.stringify(history, undefined, 1));
  }
  return folder;
}

/** Data directories are large, and what is in them is told by the comparison. */
async function isSmall(path: string): Promise<boolean> {
  if (/\/(?:base|pg_wal|global|pg_xact)$/.test(path)) return false;
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && (found.isDirectory() || (found.isFile() && found.size < MOST_BYTES));
}
