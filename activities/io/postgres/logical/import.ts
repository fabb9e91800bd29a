import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { DumpedDatabase } from '../../../../workflows/model/dump.ts';
import type { Only, Selection } from '../../../../workflows/model/dump-selection.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import type { Run } from '../../run.ts';
import type { RunAs } from '../../run-command.ts';
import { ProgramFailed, runForeign } from '../foreign-program.ts';
import { libpqPlace } from '../libpq.ts';
import { chosenLines } from './contents-list.ts';
import { createDatabase, dropDatabase, setProperties } from './database.ts';
import type { Destination } from './destination.ts';
import { atDestination } from './destination.ts';

/** What a database is imported from: archives of pg_dump's custom format. */
export interface Archives {
  /** Definitions, in a file that several pg_restore read at once, and that is gone when the work is done. */
  withDefinitions<T>(work: (file: string) => Promise<T>): Promise<T>;
  /** Rows; each writes one archive into the input of a pg_restore. */
  rows: readonly ((to: Writable) => Promise<void>)[];
}

export interface Import {
  run: Run;
  /** Folder of pg_restore. */
  folder: string;
  /** Who runs it; absent: whoever we are. */
  as?: RunAs;
  /** pg_restore processes at once. */
  jobs: number;
  to: Destination;
  archives: Archives;
  /** Name that the database gets. */
  name: string;
  selection: Selection;
}

/** Makes a database anew and fills it: definitions, then rows, then indexes, keys, triggers and views with their rows. */
export async function importDatabase(use: Import): Promise<void> {
  const { to, name, selection, archives } = use;
  const { database, only } = selection;
  await dropDatabase(to, name);
  await createDatabase(to, name, database);
  await archives.withDefinitions(async (file) => {
    const chosen = only ? ['--use-list', await chosenList(use, file, only)] : [];
    await restore(use, { args: ['--section=pre-data', ...chosen, file] });
    await importRows(use);
    await restore(use, { args: ['--section=post-data', `--jobs=${use.jobs}`, ...chosen, file] });
  });
  if (!only) await setProperties(to, name, database);
}

/** A list of contents beside the archive, of what is chosen. */
async function chosenList(use: Import, file: string, only: Only): Promise<string> {
  const pieces: Buffer[] = [];
  await runForeign({
    program: join(use.folder, 'pg_restore'),
    args: ['--list', file],
    env: {},
    signal: use.run.signal,
    output: async (from) => {
      for await (const bytes of from) pieces.push(bytes);
    },
    ...(use.as ? { as: use.as } : {}),
  });
  const list = `${file}.list`;
  await writeFile(list, `${chosenLines(Buffer.concat(pieces).toString(), only).join('\n')}\n`, { mode: 0o644 });
  return list;
}

/** Several archives at once, each into a pg_restore of its own: rows touch no disk on their way. */
async function importRows(use: Import): Promise<void> {
  const waiting = [...use.archives.rows];
  const stop = new AbortController();
  const signal = AbortSignal.any([use.run.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let input = waiting.shift(); input !== undefined; input = waiting.shift()) {
      await restore(
        { ...use, run: { ...use.run, signal } },
        { args: ['--section=data', ...rowArgs(use.selection)], input },
      );
    }
  };
  const workers = Array.from({ length: use.jobs }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}

function rowArgs({ only }: Selection): string[] {
  if (!only) return [];
  if (only.schema !== undefined) return [`--schema=${only.schema}`];
  const schemas = new Set(only.tables.map(({ schema }) => schema));
  const names = only.tables.flatMap(({ name, sequences = [] }) => [
    name,
    ...sequences.map((sequence) => sequence.split('.').at(-1) ?? sequence),
  ]);
  return [...[...schemas].map((schema) => `--schema=${schema}`), ...names.map((name) => `--table=${name}`)];
}

/**
 * Of a whole database every statement counts. Of a chosen part some stand on what was not chosen, such as a key to another
 * table: those fail and are told; whether the rows are right is proven like any others.
 */
async function restore(use: Import, call: { args: string[]; input?: (to: Writable) => Promise<void> }): Promise<void> {
  const { to, name, folder, as, run, selection } = use;
  const { conninfo, env } = libpqPlace(to.connection, { database: name, settings: to.settings });
  const strict = selection.only ? [] : ['--exit-on-error'];
  try {
    await runForeign({
      program: join(folder, 'pg_restore'),
      args: ['--no-password', '--no-tablespaces', ...strict, `--dbname=${conninfo}`, ...call.args],
      ...{ env, signal: run.signal },
      ...(call.input ? { input: call.input } : {}),
      ...(as ? { as } : {}),
    });
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    if (selection.only && error.code === 1) return run.log.warn(`restore of ${name}: ${error.said}`);
    throw await notRestored(use, selection.database, error);
  }
}

/** A server that still answers said no, and would again; one that does not may come back. */
async function notRestored(use: Import, database: DumpedDatabase, error: ProgramFailed): Promise<Error> {
  const answers = await atDestination(use.to, { signal: use.run.signal }, () => Promise.resolve(true)).catch(
    () => false,
  );
  const type = answers && error.code !== undefined ? 'Precondition' : 'Unavailable';
  return failure(type, `database ${database.name} cannot be restored: ${error.said}`, {
    place: `${error.program} into database ${use.name}`,
    expected: 'every statement of the dump to succeed',
    found: error.said,
    hint: 'an extension that is not installed on this host, a role or a collation that it lacks: install it, then the same command again',
    cause: error,
  });
}
