import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { RunAs } from '../../../activities/io/run-command.ts';
import { runCommand } from '../../../activities/io/run-command.ts';
import { failure } from '../../../workflows/model/failure.ts';

const UNPRIVILEGED = 'nobody';

export interface ServerUser {
  name: string;
  /** Set when this process is root. */
  as?: RunAs;
}

/** Who PostgreSQL runs as: it refuses root. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return { name: userInfo().username };
  const id = (flag: string): number =>
    Number(spawnSync('id', [flag, UNPRIVILEGED], { encoding: 'utf8' }).stdout.trim());
  return { name: UNPRIVILEGED, as: { uid: id('-u'), gid: id('-g') } };
}

/**
 * Precondition when that user cannot go into the folder, which need not exist yet: somewhere above it is one that only
 * root may enter.
 */
export async function checkReachable(folder: string, { name, as }: ServerUser): Promise<void> {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { code } = await runCommand('test', ['-x', existing], as ? { as } : {});
  if (code === 0) return;
  throw failure('Precondition', `${folder} cannot be entered by ${name}, who runs PostgreSQL because you are root`, {
    place: folder,
    expected: 'every folder above it open to others (chmod o+x)',
    found: `${existing}, which is closed`,
    hint: 'choose one below /srv or /var/tmp with --dir, or run as an ordinary user',
  });
}
