import { constants } from 'node:fs';
import { access, readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import { writeAtomically } from '../../io/atomic-file.ts';
import { translateFileError } from '../../io/file-failure.ts';
import type { Mark, Target } from './ini.ts';
import { readMark, readTargets } from './ini.ts';
import type { Use } from './options.ts';

/** The file of the entries, as it is now. */
export interface Entries {
  text: string;
  mark: Mark;
  /** Of each of the switch's databases. */
  targets: Target[];
}

/** ConfigInvalid when an entry is missing in it, or says no host. */
export async function readEntries({ name, options }: Use): Promise<Entries> {
  const { file, databases } = options;
  const text = await translateFileError(file, () => readFile(file, 'utf8'));
  const targets = readTargets(text);
  const missing = databases.find((database) => !targets.has(database));
  if (missing !== undefined) {
    throw failure('ConfigInvalid', `switch ${name}: ${file} does not say where ${missing} leads`, {
      ...{ place: file, expected: `${missing} = host=... port=... below [databases]` },
      found: targets.size === 0 ? 'no entry with a host' : `entries ${[...targets.keys()].join(', ')}`,
      hint: `move the entry of ${missing} into ${file}, with %include ${file} in pgbouncer.ini`,
    });
  }
  return { text, mark: markOf({ name, options }, text), targets: databases.flatMap((each) => targets.get(each) ?? []) };
}

function markOf({ name, options }: Use, text: string): Mark {
  try {
    return readMark(text, name) ?? { token: 0 };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw failure('ConfigInvalid', `switch ${name}: the line of Lifeboat in ${options.file} cannot be read`, {
      ...{ place: options.file, expected: ';lifeboat NAME {"token":1}', found: error.message },
      hint: 'write a token above all that were used, or restore the line from a copy',
    });
  }
}

/** Whole or not at all; owner and mode stay, so that the pooler can read it afterwards. */
export async function writeEntries({ options }: Use, text: string): Promise<void> {
  await translateFileError(options.file, async () => {
    const path = await realpath(options.file);
    const { uid, gid, mode } = await stat(path);
    const target = { path, staging: dirname(path), mode: mode & 0o777, owner: { uid, gid } };
    await writeAtomically(target, oneChunk(text));
  });
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Denied when it cannot be replaced. */
export async function checkWritable({ options }: Use): Promise<string> {
  return translateFileError(options.file, async () => {
    const path = await realpath(options.file);
    await access(dirname(path), constants.W_OK | constants.X_OK);
    await access(path, constants.R_OK | constants.W_OK);
    return path;
  });
}
