import { fileURLToPath } from 'node:url';
import { runCommand } from '../../activities/io/run-command.ts';
import type { CommandResult } from '../../activities/io/run-command.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';

const PROGRAM = fileURLToPath(new URL('../../docs/read-backup.py', import.meta.url));

/** Runs docs/read-backup.py as somebody without Lifeboat would: Python, two packages, a folder and a key. */
export async function readBackup(...args: string[]): Promise<CommandResult> {
  const { python } = await ensureTools(['python'], { log: () => {} });
  return runCommand(python, ['-I', PROGRAM, ...args]);
}
