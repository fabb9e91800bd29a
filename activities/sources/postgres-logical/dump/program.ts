import { failure } from '../../../../workflows/model/failure.ts';
import { ProgramFailed, runForeign } from '../../../io/postgres/foreign-program.ts';
import { libpqPlace } from '../../../io/postgres/libpq.ts';
import type { Programs } from '../../../io/postgres/programs.ts';
import { findPrograms } from '../../../io/postgres/programs.ts';
import { join } from 'node:path';
import type { LogicalOptions } from '../options.ts';

export function findDumpPrograms(options: LogicalOptions, serverVersion: number): Promise<Programs> {
  return findPrograms({
    programs: ['pg_dump', 'pg_dumpall'],
    major: Math.floor(serverVersion / 10_000),
    folder: options.dump.binaries,
    setting: 'dump.binaries',
    package: 'postgresql-client',
  });
}

export interface Dumping {
  options: LogicalOptions;
  programs: Programs;
  signal: AbortSignal;
}

export interface DumpCall {
  program: 'pg_dump' | 'pg_dumpall';
  database: string;
  args: string[];
  output: (from: AsyncIterable<Buffer>) => Promise<void>;
}

/** Unavailable when it ends badly: a lock, a lost connection and a mistake all look the same from here. */
export async function runDump({ options, programs, signal }: Dumping, call: DumpCall): Promise<void> {
  const { conninfo, env } = libpqPlace(options.connection, { database: call.database });
  const lockMs = options.dump.lockTimeout;
  try {
    await runForeign({
      program: join(programs.folder, call.program),
      args: ['--no-password', `--lock-wait-timeout=${lockMs}`, `--dbname=${conninfo}`, ...call.args],
      ...{ env, signal, silenceMs: options.dump.silence, output: call.output },
    });
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    throw failure('Unavailable', `${call.program} of ${call.database} failed: ${error.said}`, {
      place: `${join(programs.folder, call.program)}, database ${call.database}`,
      expected: 'exit code 0',
      found: error.code === undefined ? 'ended by a signal' : `exit code ${error.code}`,
      hint: 'nothing of this attempt is kept; see the server log',
      cause: error,
    });
  }
}
