import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { failure } from '../../../workflows/model/failure.ts';

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), 'reaper.sh');

/** PostgreSQL takes INT for fast, QUIT for immediate. */
export type StopSignal = 'TERM' | 'INT' | 'QUIT' | 'KILL';

/**
 * A process beside this one that ends the given processes and removes the given folders when this one has gone: by
 * `finish`, by Ctrl-C, by a crash or by SIGKILL. The last processes are ended first.
 */
export interface Reaper {
  /** Of a process group's leader. Call the result when it has ended by itself. */
  guard(leaderPid: number, signal: StopSignal): () => void;
  /** Before the folder is made. */
  removeAtEnd(folder: string): void;
  /** Ends and removes all of it; resolves when nothing is left. Again: nothing. Precondition when something cannot go. */
  finish(): Promise<void>;
  /** Stops guarding: processes and folders stay. */
  leave(): Promise<void>;
}

export function startReaper(): Reaper {
  // In a session of its own a Ctrl-C at the terminal does not reach it; nobody else holds the pipe's other end.
  const child = spawn('/bin/sh', [SCRIPT], { detached: true, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] });
  const input = child.stdin;
  const ended = exitOf(child);
  // A write to a reaper that was killed is answered by `finish`, which sees its exit.
  input.on('error', () => {});
  let lastId = 0;
  return {
    guard: (leaderPid, signal) => {
      const id = ++lastId;
      say(input, `start ${id} ${leaderPid} ${signal}`);
      return () => say(input, `gone ${id}`);
    },
    removeAtEnd: (folder) => say(input, `dir ${folder}`),
    finish: async () => {
      input.end();
      const code = await ended;
      if (code !== 0) throw unfinished(code);
    },
    leave: async () => {
      say(input, 'leave');
      await ended;
    },
  };
}

function say(input: Writable, line: string): void {
  if (input.writable) input.write(`${line}\n`);
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

function unfinished(code: number | null): Error {
  return failure('Precondition', 'the local stack could not be removed whole', {
    expected: 'no process and no folder left',
    found: code === null ? 'its reaper was killed' : 'a folder that cannot be removed',
    hint: 'look for processes and folders named lifeboat, and for a file system that is read-only',
  });
}
