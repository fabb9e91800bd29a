import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { RunAs } from '../../../activities/io/run-command.ts';
import { failure } from '../../../workflows/model/failure.ts';
import type { Reaper, StopSignal } from './reaper.ts';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process of the stack, in a process group of its own. Its output goes to the end of a file. */
export interface StackProcess {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly logFile: string;
  /** To its whole group. Nothing when it has ended. */
  kill(signal: NodeJS.Signals): void;
}

export interface ProcessRequest {
  name: string;
  command: string;
  args: readonly string[];
  cwd: string;
  logFile: string;
  env: Record<string, string>;
  as?: RunAs | undefined;
  /** What asks it to end; default TERM. */
  stopSignal?: StopSignal;
}

/** It waits at a gate until the reaper knows it, and ends there when this process dies before. The pid stays by exec. */
const GATE = 'read -r go <&3 || exit 125; exec 3<&-; exec "$@"';

export function startProcess(request: ProcessRequest, reaper: Reaper): StackProcess {
  const log = openSync(request.logFile, 'a', 0o644);
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', GATE, request.name, request.command, ...request.args], {
      cwd: request.cwd,
      env: request.env,
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
      ...request.as,
    });
  } finally {
    closeSync(log);
  }
  const { pid } = child;
  if (pid === undefined) throw notStarted(request);
  const ended = reaper.guard(pid, request.stopSignal ?? 'TERM');
  const gate = child.stdio[3] as Writable;
  gate.on('error', () => {});
  gate.end('go\n');
  const state = { running: true };
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
    state.running = false;
    ended();
    return { code, signal } as Exit;
  });
  return {
    name: request.name,
    pid,
    exited,
    logFile: request.logFile,
    kill: (signal) => {
      if (state.running) killGroup(pid, signal);
    },
  };
}

function notStarted({ name, command }: ProcessRequest): Error {
  return failure('Unavailable', `${name} could not be started`, {
    place: command,
    expected: 'a process',
    found: 'none',
    hint: 'check memory and the limit of processes (ulimit -u)',
  });
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const SHOWN_LOG = 1500;

/** That a process ended when it should have run, with the end of its log. */
export async function endedEarly({ name, logFile, exited }: StackProcess): Promise<Error> {
  const { code, signal } = await exited;
  const log = await readFile(logFile, 'utf8').catch(() => '');
  return failure('Unavailable', `${name} ended with ${code ?? signal ?? 'nothing'} before it was ready`, {
    place: logFile,
    expected: 'a running server',
    found: log.trim().slice(-SHOWN_LOG),
    hint: 'mend what its log says, then start again',
  });
}
