import { chown, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { failure } from '../../workflows/model/failure.ts';
import { writeAtomically } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { NodeUse } from './node.ts';
import { ownerOf } from './node.ts';

/** How far the files of a node are on their way back. It stands beside the data directory: what happens in there does not change it. */
export interface RejoinProgress {
  run: string;
  /** rewinding: files are overwritten; only `rewound` says that all of them were. */
  phase: 'rewinding' | 'rewound' | 'fetched' | 'swapped';
}

type Beside = Pick<NodeUse, 'node'>;

/** On the file system of the data directory, so that both can change places. */
export function besideOf({ node }: Beside): string {
  return `${node.dataDir}.rejoin`;
}

export function progressPath(use: Beside): string {
  return join(besideOf(use), 'progress.json');
}

/** Makes the folder, for the user of the server alone. */
export async function makeBeside(use: NodeUse, ...names: string[]): Promise<string> {
  const path = join(besideOf(use), ...names);
  const owner = await ownerOf(use);
  await translateFileError(path, async () => {
    for (const each of [besideOf(use), path]) {
      await mkdir(each, { recursive: true, mode: 0o700 });
      if (owner) await chown(each, owner.uid, owner.gid);
    }
  });
  return path;
}

/** Undefined when nothing was begun. Integrity when it cannot be read: nobody knows how far it came then. */
export async function readProgress(use: Beside): Promise<RejoinProgress | undefined> {
  const path = progressPath(use);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    return translateFileError(path, () => Promise.reject(error));
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as RejoinProgress;
  } catch (cause) {
    const hint = `look at ${use.node.dataDir}; remove the file to have it taken as it is`;
    throw failure('Integrity', `${path} says nothing`, {
      place: path,
      expected: 'JSON',
      found: text.slice(0, 100),
      hint,
      cause,
    });
  }
}

export async function writeProgress(use: NodeUse, progress: RejoinProgress): Promise<void> {
  const staging = await makeBeside(use);
  const path = progressPath(use);
  const body = Readable.from([Buffer.from(`${JSON.stringify(progress)}\n`)]);
  await translateFileError(path, () => writeAtomically({ path, staging, mode: 0o600 }, body));
}
