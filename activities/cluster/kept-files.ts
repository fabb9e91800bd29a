import { copyFile, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { syncFolder } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import { besideOf, makeBeside } from './beside.ts';
import { writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';

const KEPT = 'kept';

/** Files at the top of a data directory that are of the cluster or of the moment, and of no node. */
const NOT_OF_A_NODE =
  /^(?:PG_VERSION|backup_label.*|backup_manifest|tablespace_map.*|current_logfiles|postmaster\..*|.*\.signal|.*\.part|.*\.log|lifeboat\..*)$/;

/**
 * Keeps a copy of the settings, certificates and other files that are this node's own and stand at the top of its data
 * directory: a rewind and a new copy bring those of the primary. What is kept already stays: it is older, so it is the node's.
 */
export async function keepNodeFiles(use: NodeUse): Promise<void> {
  const { dataDir } = use.node;
  const folder = join(besideOf(use), KEPT);
  if (existsSync(folder)) return;
  const staging = await makeBeside(use, `${KEPT}.part`);
  await translateFileError(dataDir, async () => {
    for (const entry of await readdir(dataDir, { withFileTypes: true })) {
      if (!entry.isFile() || NOT_OF_A_NODE.test(entry.name)) continue;
      await copyFile(join(dataDir, entry.name), join(staging, entry.name));
    }
    await syncFolder(staging);
    await rename(staging, folder);
    await syncFolder(besideOf(use));
  });
}

/** Puts them into a data directory, each whole or not at all. */
export async function putNodeFiles(use: NodeUse, dataDir = use.node.dataDir): Promise<void> {
  const folder = join(besideOf(use), KEPT);
  const into = { ...use, node: { ...use.node, dataDir } };
  await translateFileError(folder, async () => {
    for (const name of await readdir(folder)) await writeNodeFile(into, name, await readFile(join(folder, name)));
  });
}

/** Removes what stands beside a data directory when the node is proven to follow. */
export async function removeBeside(use: NodeUse): Promise<void> {
  const path = besideOf(use);
  await translateFileError(path, () => rm(path, { recursive: true, force: true, maxRetries: 3 }));
}
