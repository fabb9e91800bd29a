import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { failure } from '../../workflows/model/failure.ts';

export interface RunAs {
  uid: number;
  gid: number;
}

export interface CommandOptions {
  /** Ends the whole process group; the call returns only when it is gone. */
  signal?: AbortSignal;
  as?: RunAs;
  cwd?: string;
  env?: Record<string, string>;
}

export interface CommandResult {
  /** undefined when a signal ended it. */
  code: number | undefined;
  /** The last 64 KiB of each. */
  stdout: string;
  stderr: string;
}

const MOST_OUTPUT = 64 * 1024;
const GRACE_MS = 5_000;

/** Runs a program without a shell. Unsupported when it does not exist; a non-zero exit is a result, not a failure. */
export async function runCommand(
  program: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, { ...spawnOptions(options), stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const stop = (): void => endGroup(child);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const code = await exitOf(child, program);
    options.signal?.throwIfAborted();
    return { code, stdout: stdout(), stderr: stderr() };
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

/** A group of its own, so that it and all it starts can be ended together, and a Ctrl-C at our terminal does not reach it. */
export function spawnOptions(options: CommandOptions): SpawnOptions {
  const { as, cwd = '/', env = {} } = options;
  return { detached: true, cwd, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...env }, ...(as ?? {}) };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.on('data', (bytes: Buffer) => (text = (text + bytes.toString()).slice(-MOST_OUTPUT)));
  return () => text;
}

/** undefined when a signal ended it; Unsupported when it could not be started. */
export function exitOf(child: ChildProcess, program: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'ENOENT' ? 'install it, or correct the path' : 'check its permissions';
      reject(
        failure('Unsupported', `${program} cannot be run`, {
          place: program,
          found: error.code ?? error.message,
          hint,
          cause: error,
        }),
      );
    });
    child.once('close', (code) => resolve(code ?? undefined));
  });
}

/** Asks, then forces. */
export function endGroup(child: ChildProcess): void {
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone already, which is what was wanted.
    }
  };
  kill('SIGTERM');
  const timer = setTimeout(() => kill('SIGKILL'), GRACE_MS);
  child.once('close', () => clearTimeout(timer));
}
