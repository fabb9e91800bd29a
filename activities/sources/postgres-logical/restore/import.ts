import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DumpedDatabase } from '../../../../workflows/model/dump.ts';
import type { Only, Selection } from '../../../../workflows/model/dump-selection.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { ProgramFailed, runForeign } from '../../../io/postgres/foreign-program.ts';
import { libpqPlace } from '../../../io/postgres/libpq.ts';
import type { Archives } from './archive.ts';
import { pour, withFile } from './archive.ts';
import { chosenLines } from './contents-list.ts';
import { createDatabase, dropDatabase, setProperties } from './database.ts';
import type { Destination, Restore } from './scene.ts';
import { atDestination } from './scene.ts';

export interface Import extends Restore {
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
  await withFile(use, { ...archives, path: database.schemaFile }, async (file) => {
    const chosen = only ? ['--use-list', await chosenList(use, file, only)] : [];
    await restore(use, { args: ['--section=pre-data', ...chosen, file] });
    await importRows(use);
    await restore(use, {
      args: ['--section=post-data', `--jobs=${use.options.restore.jobs}`, ...chosen, file],
    });
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

/** Several archives at once, each from the vault into a pg_restore of its own: rows touch no disk on their way. */
async function importRows(use: Import): Promise<void> {
  const waiting = [...filesFor(use.selection)];
  const stop = new AbortController();
  const signal = AbortSignal.any([use.run.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const archive = path;
      await restore(
        { ...use, run: { ...use.run, signal } },
        { args: ['--section=data', ...rowArgs(use.selection)], from: archive },
      );
    }
  };
  const workers = Array.from({ length: use.options.restore.jobs }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}

/** Sequences and large objects are in the first one. */
function filesFor({ database, only }: Selection): Set<string> {
  if (!only) return new Set(database.dataFiles);
  const of = only.tables.map(({ file }) => file).filter((file) => file !== undefined);
  return new Set([...database.dataFiles.slice(0, 1), ...of]);
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
async function restore(use: Import, call: { args: string[]; from?: string }): Promise<void> {
  const { to, name, folder, as, run, archives, selection } = use;
  const { conninfo, env } = libpqPlace(to.connection, { database: name, settings: to.settings });
  const { from } = call;
  const strict = selection.only ? [] : ['--exit-on-error'];
  try {
    await runForeign({
      program: join(folder, 'pg_restore'),
      args: ['--no-password', '--no-tablespaces', ...strict, `--dbname=${conninfo}`, ...call.args],
      ...{ env, signal: run.signal },
      ...(from === undefined ? {} : { input: (input) => pour(archives, from, input) }),
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
