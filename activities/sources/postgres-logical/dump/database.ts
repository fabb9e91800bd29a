import type { DumpedDatabase, DumpedTable } from '../../../../workflows/model/dump.ts';
import type { Run } from '../../../io/run.ts';
import type { Survey } from '../../../io/postgres/logical/survey.ts';
import { surveyOf } from '../../../io/postgres/logical/survey.ts';
import type { Group } from './groups.ts';
import { dealTables, groupArgs } from './groups.ts';
import type { Measured } from '../../../io/postgres/logical/measured.ts';
import { measureAll } from '../../../io/postgres/logical/measured.ts';
import type { Parts } from './parts.ts';
import type { Dumping } from './program.ts';
import { runDump } from './program.ts';
import type { Snapshot } from './snapshot.ts';
import { lockTables, withSight, withSnapshot } from './snapshot.ts';

export interface DatabaseDump extends Dumping {
  database: string;
  /** Folder of its archives in the tree. */
  folder: string;
  parts: Parts;
  run: Run;
}

/**
 * Definitions by one pg_dump, rows by several, and beside them what the rows must come to: all on one snapshot. The first
 * that fails ends all of them.
 */
export function dumpDatabase(use: DatabaseDump): Promise<DumpedDatabase> {
  const { options, database } = use;
  return withSnapshot(options, { database, signal: use.signal }, async (snapshot) => {
    const survey = await surveyOf(snapshot.holder);
    await lockTables(snapshot, survey.tables);
    const groups = dealTables(survey.tables, options.dump.jobs);
    const files = groups.map((_, index) => `${use.folder}/data-${index + 1}.dump`);
    const schemaFile = `${use.folder}/schema.dump`;
    const measured = await together(snapshot, (shared) => [
      measure(use, { ...shared, tables: survey.tables }),
      pipe(use, shared, { path: schemaFile, args: ['--section=pre-data', '--section=post-data'] }),
      ...groups.map((group, index) =>
        pipe(use, shared, {
          path: files[index] ?? '',
          args: ['--section=data', ...groupArgs(group, groups)],
        }),
      ),
    ]);
    const tables = survey.tables.map((table, index) => tableOf(table, { measured, index, groups, files }));
    return { ...survey, name: database, schemaFile, dataFiles: files, tables, largeObjects: measured.largeObjects };
  });
}

/** The first of them gives the result; when one fails, the others are ended and waited for. */
async function together<T>(
  snapshot: Snapshot,
  begin: (shared: Snapshot) => [Promise<T>, ...Promise<void>[]],
): Promise<T> {
  const stop = new AbortController();
  const work = begin({ ...snapshot, signal: AbortSignal.any([snapshot.signal, stop.signal]) });
  try {
    const [result] = await Promise.all(work);
    return result;
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(work);
    // What ends all of them is the reason that is worth telling.
    snapshot.signal.throwIfAborted();
    throw error;
  }
}

function measure(use: DatabaseDump, at: Snapshot & { tables: Survey['tables'] }): Promise<Measured> {
  const { options, database } = use;
  return measureAll(at.tables, {
    sessions: options.dump.jobs,
    open: (work) => withSight(options, { database, snapshot: at }, work),
  });
}

function pipe(use: DatabaseDump, snapshot: Snapshot, archive: { path: string; args: string[] }): Promise<void> {
  return runDump(
    { ...use, signal: snapshot.signal },
    {
      program: 'pg_dump',
      database: use.database,
      // The vault compresses, and better.
      args: ['--format=custom', '--compress=0', `--snapshot=${snapshot.id}`, ...archive.args],
      output: (from) => use.parts.write(archive.path, from),
    },
  );
}

interface Dealt {
  measured: Measured;
  index: number;
  groups: readonly Group[];
  files: readonly string[];
}

function tableOf(table: Survey['tables'][number], { measured, index, groups, files }: Dealt): DumpedTable {
  const { rows = 0, checksum = '0' } = measured.tables[index] ?? {};
  if (table.partitioned) return { ...table, rows, checksum };
  const group = groups.findIndex(({ tables }) => tables.includes(table));
  const file = files[Math.max(0, group)];
  return { ...table, rows, checksum, ...(file === undefined ? {} : { file }) };
}
