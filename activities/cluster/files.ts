import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { syncFolder, writeAtomically } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import { ownerOf } from './node.ts';
import type { NodeUse } from './node.ts';

/** Only the server and we read what stands in a data directory. */
const MODE = 0o600;

/** Writes a file of the data directory: whole or not at all, durable, and the server's own. */
export async function writeNodeFile(use: NodeUse, name: string, text: string | Buffer): Promise<void> {
  const { dataDir } = use.node;
  const path = join(dataDir, name);
  await translateFileError(path, async () => {
    const owner = await ownerOf(use);
    const target = { path, staging: dataDir, mode: MODE, ...(owner ? { owner } : {}) };
    await writeAtomically(target, Readable.from([typeof text === 'string' ? Buffer.from(text) : text]));
  });
}

/** Undefined when it is not there. */
export async function readNodeFile({ node }: Pick<NodeUse, 'node'>, name: string): Promise<string | undefined> {
  const path = join(node.dataDir, name);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return translateFileError(path, () => Promise.reject(error as Error));
  }
}

export async function removeNodeFile({ node }: Pick<NodeUse, 'node'>, name: string): Promise<void> {
  const path = join(node.dataDir, name);
  await translateFileError(path, async () => {
    await rm(path, { force: true });
    await syncFolder(node.dataDir);
  });
}

/** Its presence makes a start one of a standby (manual 26.2). */
export const STANDBY_SIGNAL = 'standby.signal';

export async function hasStandbySignal(use: NodeUse): Promise<boolean> {
  return (await readNodeFile(use, STANDBY_SIGNAL)) !== undefined;
}
