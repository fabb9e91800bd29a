import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { failure } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import type { RunAs } from '../run-command.ts';
import { endGroup, exitOf, spawnOptions } from '../run-command.ts';

export interface ForeignProgram {
  program: string;
  args: string[];
  env: Record<string, string>;
  as?: RunAs;
  signal: AbortSignal;
  /** Longest wait for a byte of its output, milliseconds; 0 = none. */
  silenceMs?: number;
  /** Gives it its input; absent: none. */
  input?: (to: Writable) => Promise<void>;
  /** Takes its output; absent: it is dropped. */
  output?: (from: AsyncIterable<Buffer>) => Promise<void>;
}

/** How a program ended that did not end well. */
export class ProgramFailed extends Error {
  readonly program: string;
  /** What it said, short and without data or secrets. */
  readonly said: string;
  /** Absent when a signal ended it. */
  readonly code: number | undefined;

  constructor(program: string, said: string, code: number | undefined) {
    super(`${program} ended with ${code ?? 'a signal'}: ${said}`);
    this.program = program;
    this.said = said;
    this.code = code;
  }
}

const MOST_SAID = 64 * 1024;

/**
 * Runs one of PostgreSQL's programs between pipes. ProgramFailed when it does not end well: what comes of it before that counts
 * for nothing. It, and all that it started, is gone when this returns.
 */
export async function runForeign(use: ForeignProgram): Promise<void> {
  use.signal.throwIfAborted();
  const { program, args, env, as } = use;
  const child = spawn(program, args, {
    ...spawnOptions({ env, ...(as ? { as } : {}) }),
    stdio: [use.input ? 'pipe' : 'ignore', use.output ? 'pipe' : 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-MOST_SAID)));
  const stop = (): void => endGroup(child);
  use.signal.addEventListener('abort', stop, { once: true });
  try {
    const [code, ...ends] = await Promise.allSettled([exitOf(child, program), feed(child, use), drain(child, use)]);
    use.signal.throwIfAborted();
    if (code.status === 'rejected') throw code.reason;
    for (const end of ends) if (end.status === 'rejected' && !isBrokenPipe(end.reason)) throw end.reason;
    if (code.value !== 0) throw new ProgramFailed(basename(program), shortly(said), code.value);
  } finally {
    use.signal.removeEventListener('abort', stop);
  }
}

async function feed(child: ChildProcess, { input }: ForeignProgram): Promise<void> {
  const to = child.stdin;
  if (!input || !to) return;
  // A program that ends early closes its end; its exit says why.
  to.on('error', () => undefined);
  try {
    await input(to);
    to.end();
  } catch (error) {
    endGroup(child);
    throw error;
  }
}

async function drain(child: ChildProcess, use: ForeignProgram): Promise<void> {
  const from = child.stdout;
  if (!use.output || !from) return;
  try {
    await use.output(notSilent(from, child, use));
  } catch (error) {
    endGroup(child);
    throw error;
  }
}

/** Only the wait for a byte counts: while we are slow, the program cannot go on. */
async function* notSilent(from: Readable, child: ChildProcess, use: ForeignProgram): AsyncGenerator<Buffer> {
  const { silenceMs = 0 } = use;
  let silent = false;
  const watch = (): NodeJS.Timeout | undefined =>
    silenceMs === 0
      ? undefined
      : setTimeout(() => {
          silent = true;
          endGroup(child);
        }, silenceMs);
  let timer = watch();
  try {
    for await (const bytes of from) {
      clearTimeout(timer);
      yield bytes as Buffer;
      timer = watch();
    }
  } finally {
    clearTimeout(timer);
  }
  if (!silent) return;
  const name = basename(use.program);
  throw failure('Unavailable', `${name} was silent for ${formatDuration(silenceMs)}, and was ended`, {
    place: name,
    expected: `output within ${formatDuration(silenceMs)}`,
    found: 'silence',
    hint: 'it is tried again by itself; see pg_stat_activity for what it waits for, or raise dump.silence',
  });
}

function isBrokenPipe(error: unknown): boolean {
  return ['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
}

const MOST_LINES = 3;
const LONGEST_LINE = 300;

/** Its first errors. Statements, rows and keys, which it quotes beside them, may hold anything; so may what follows a password. */
export function shortly(said: string): string {
  const lines = said.split('\n').filter((line) => /(^|: )(error|fatal|ERROR|FATAL|PANIC): /.test(line));
  const shown = (
    lines.length > 0
      ? lines
      : said
          .split('\n')
          .filter((line) => line.trim() !== '')
          .slice(-1)
  )
    .slice(0, MOST_LINES)
    .map((line) => line.replaceAll(/(passw\w*\s*[=:]?\s*)('[^']*'|\S+)/gi, '$1…').slice(0, LONGEST_LINE));
  return shown.join('; ') || 'nothing said';
}
