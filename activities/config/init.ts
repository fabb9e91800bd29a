import { randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import { syncFolder } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import { createKeys, newKeysIn } from '../vault/keys/files.ts';
import { CONFIG_FILE } from './locate.ts';
import { configTemplate } from './template.ts';

export interface Initialised {
  config: string;
  keys: string;
  /** The one file that must be moved to a place no worker can reach. */
  recoveryPrivate: string;
}

/**
 * Makes lifeboat.yml and a folder of new keys in `folder`, keys first and all of them or none.
 * Precondition when either exists: nothing is overwritten, and nothing was touched.
 */
export async function initialise(folder: string): Promise<Initialised> {
  const root = resolve(folder);
  const config = join(root, CONFIG_FILE);
  const keys = join(root, 'keys');
  return translateFileError(root, async () => {
    await mkdir(root, { recursive: true });
    for (const path of [config, keys]) await refuseExisting(path);
    await makeKeys(root, keys);
    // The store that the template names.
    await mkdir(join(root, 'vault'), { recursive: true, mode: 0o750 });
    await writeFile(config, configTemplate(uniqueName(root)), { flag: 'wx', mode: 0o640 });
    await syncFolder(root);
    return { config, keys, recoveryPrivate: join(keys, 'recovery.key') };
  });
}

async function makeKeys(root: string, keys: string): Promise<void> {
  const staging = await mkdtemp(join(root, '.keys-'));
  try {
    await createKeys(newKeysIn(staging));
    for (const name of await readdir(staging)) await syncFile(join(staging, name));
    await syncFolder(staging);
    // rename(2) over a folder succeeds only when that one is empty, so a racing init loses nothing.
    await rename(staging, keys);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Keys that a crash could take away would take every backup with them. */
async function syncFile(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function refuseExisting(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found) return;
  throw failure('Precondition', `${path} exists`, {
    place: path,
    expected: 'nothing there',
    found: found.isDirectory() ? 'a folder' : 'a file',
    hint: 'keep it, or name another folder: lifeboat init --dir DIR',
  });
}

/** Letters of the folder for the reader, random ones so that no two files share a name. */
function uniqueName(root: string): string {
  const readable = basename(root)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 30);
  return `${readable === '' ? 'lifeboat' : readable}-${randomBytes(4).toString('hex')}`;
}
