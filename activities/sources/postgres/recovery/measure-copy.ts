import type { DumpedDatabase } from '../../../../workflows/model/dump.ts';
import type { Selection } from '../../../../workflows/model/dump-selection.ts';
import { selectionsOf } from '../../../../workflows/model/dump-selection.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { tablesOf } from '../../../io/postgres/logical/compare.ts';
import { measureAll } from '../../../io/postgres/logical/measured.ts';
import { withReader } from '../../../io/postgres/logical/session.ts';
import { surveyOf } from '../../../io/postgres/logical/survey.ts';
import type { Finishing } from './finish.ts';
import { recoveredServer } from './session.ts';

/** What is chosen of a database of the copy, counted and summed, as a dump of it would have said. */
export async function measureCopy(use: Finishing & { name: string; jobs: number }): Promise<Selection> {
  const { plan, name, jobs, run } = use;
  const { connection, settings } = recoveredServer(plan);
  const mode = { database: name, settings, signal: run.signal };
  const survey = await withReader(connection, mode, surveyOf);
  const unmeasured: DumpedDatabase = {
    ...survey,
    ...{ name, schemaFile: '', dataFiles: [], largeObjects: { count: 0, bytes: 0, checksum: '0' } },
    tables: survey.tables.map((table) => ({ ...table, rows: 0, checksum: '0' })),
  };
  const { schema, table } = plan.partial?.bring ?? {};
  const [selection] = selectionsOf([unmeasured], {
    ...{ database: name, toolMajor: 0 },
    ...(schema === undefined ? {} : { schema }),
    ...(table === undefined ? {} : { table }),
  });
  if (!selection) throw failure('Bug', `database ${name} has no selection`, { place: name });
  const tables = tablesOf(selection);
  const { tables: measures, largeObjects } = await measureAll(tables, {
    sessions: jobs,
    open: (work) => withReader(connection, mode, work),
    onTable: (done) => run.progress({ phase: 'measure', note: `${done} of ${tables.length} tables` }),
  });
  const measured = tables.map((each, index) => ({ ...each, ...measures[index] }));
  const { only } = selection;
  return only
    ? { database: selection.database, only: { ...only, tables: measured } }
    : { database: { ...selection.database, tables: measured, largeObjects } };
}
