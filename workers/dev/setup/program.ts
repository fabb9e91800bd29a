import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runCommand } from '../../../activities/io/run-command.ts';
import { failure } from '../../../workflows/model/failure.ts';

const SHOWN_OUTPUT = 1500;

/** The whole environment of this process: compilers and package managers are configured there (proxies, caches). */
export function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

/** First program of that name on PATH. */
export async function findOnPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  return undefined;
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

export interface Step {
  program: string;
  args: string[];
  /** What to do when it fails. */
  hint: string;
  cwd?: string;
  env?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Runs one step of a set-up and gives its standard output; Unavailable with the end of what it said when it fails. */
export async function runStep({ program, args, hint, cwd, env, signal }: Step): Promise<string> {
  const { code, stdout, stderr } = await runCommand(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(signal === undefined ? {} : { signal }),
    env: { ...inheritedEnvironment(), ...env },
  });
  if (code === 0) return stdout;
  throw failure('Unavailable', `${program} ${args[0] ?? ''} ended with ${code ?? 'a signal'}`, {
    place: [program, ...args].join(' '),
    expected: 'exit code 0',
    found: `${stderr}\n${stdout}`.trim().slice(-SHOWN_OUTPUT),
    hint,
  });
}
