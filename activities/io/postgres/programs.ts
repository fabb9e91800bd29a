import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import { runCommand } from '../run-command.ts';
import { NEWEST_MAJOR } from './version.ts';

export interface ProgramsWish {
  /** All of them stand in one folder, and the first one says the version. */
  programs: readonly [string, ...string[]];
  /** Oldest major version that will do. */
  major: number;
  /** The folder, when the configuration names it; absent: the usual places, the oldest that will do first. */
  folder?: string | undefined;
  /** The setting that names the folder. */
  setting: string;
  /** Package that has them, like "postgresql-client". */
  package: string;
}

export interface Programs {
  folder: string;
  major: number;
}

/** PostgreSQL's programs of a major version or a newer one. Unsupported, naming what was found, when this host has none. */
export async function findPrograms(wish: ProgramsWish): Promise<Programs> {
  const looked: string[] = [];
  for (const folder of wish.folder === undefined ? usualFolders(wish.major) : [wish.folder]) {
    const major = await majorIn(folder, wish.programs);
    if (major !== undefined) looked.push(`${folder}: ${major}`);
    if (major !== undefined && major >= wish.major) return { folder, major };
  }
  const [program] = wish.programs;
  const found = looked.length > 0 ? looked.join('; ') : `no ${program}`;
  const older = looked.length > 0 ? `${program} is older than the server: ${found}` : `${program} is not installed`;
  throw failure('Unsupported', `${older}; version ${wish.major} or newer is needed`, {
    place: wish.setting,
    expected: `a folder with ${wish.programs.join(', ')} of version ${wish.major} or newer`,
    found,
    hint: `install ${wish.package}-${wish.major}, or set ${wish.setting} to its bin folder`,
  });
}

function usualFolders(major: number): string[] {
  const majors = Array.from({ length: Math.max(1, NEWEST_MAJOR - major + 1) }, (_, index) => major + index);
  const versioned = majors.flatMap((each) => [`/usr/lib/postgresql/${each}/bin`, `/usr/pgsql-${each}/bin`]);
  return [...versioned, '/usr/local/pgsql/bin', '/usr/local/bin', '/usr/bin'];
}

/** undefined when one of them is not there. */
async function majorIn(folder: string, programs: readonly [string, ...string[]]): Promise<number | undefined> {
  try {
    for (const program of programs) await access(join(folder, program), constants.X_OK);
  } catch {
    return undefined;
  }
  const { stdout } = await runCommand(join(folder, programs[0]), ['--version']);
  const major = /PostgreSQL\) (\d+)/.exec(stdout)?.[1];
  return major === undefined ? undefined : Number(major);
}
