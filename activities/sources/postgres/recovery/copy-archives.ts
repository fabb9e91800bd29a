import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { Selection } from '../../../../workflows/model/dump-selection.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { ProgramFailed, runForeign } from '../../../io/postgres/foreign-program.ts';
import { quoteIdent, quoteName } from '../../../io/postgres/identifier.ts';
import { libpqPlace } from '../../../io/postgres/libpq.ts';
import type { Archives } from '../../../io/postgres/logical/import.ts';
import { writeAll } from '../../../io/write-all.ts';
import type { Finishing } from './finish.ts';
import { placeOf } from './place.ts';
import { recoveredServer } from './session.ts';

export interface Bringing extends Finishing {
  /** Database of the copy. */
  name: string;
  /** Folder of pg_dump. */
  folder: string;
  selection: Selection;
}

/** A database of the copy as its own pg_dump writes it: definitions into a file beside the copy, rows straight into a pipe. */
export function copyArchives(use: Bringing): Archives {
  const file = join(placeOf(use.plan).work, 'definitions.dump');
  return {
    withDefinitions: async (work) => {
      try {
        await dump(use, { args: ['--section=pre-data', '--section=post-data', `--file=${file}`] });
        return await work(file);
      } finally {
        for (const path of [file, `${file}.list`]) await rm(path, { force: true });
      }
    },
    rows: [(to) => dump(use, { args: ['--section=data', ...chosenArgs(use.selection)], to })],
  };
}

/** Patterns, in which quoted names stand for themselves. Sequences come along with the tables that own them. */
function chosenArgs({ only }: Selection): string[] {
  if (!only) return [];
  if (only.schema !== undefined) return [`--schema=${quoteIdent(only.schema)}`];
  return only.tables.map(({ schema, name }) => `--table=${quoteName(schema, name)}`);
}

async function dump(use: Bringing, call: { args: string[]; to?: Writable }): Promise<void> {
  const { plan, host, run, name, folder } = use;
  const { connection, settings } = recoveredServer(plan);
  const { conninfo, env } = libpqPlace(connection, { database: name, settings });
  const { to } = call;
  try {
    await runForeign({
      program: join(folder, 'pg_dump'),
      args: ['--format=custom', '--compress=0', '--no-password', `--dbname=${conninfo}`, ...call.args],
      ...{ env, signal: run.signal },
      ...(to ? { output: (from) => writeAll(from, to) } : {}),
      ...(host.as ? { as: host.as } : {}),
    });
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    throw failure('Unavailable', `pg_dump of ${name} failed: ${error.said}`, {
      place: `${plan.into} on host ${plan.host}`,
      expected: 'exit code 0',
      found: error.code === undefined ? 'ended by a signal' : `exit code ${error.code}`,
      hint: 'it is tried again by itself; see the log of the copy',
      cause: error,
    });
  }
}
