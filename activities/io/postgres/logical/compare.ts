import type { DumpedDatabase, DumpedTable } from '../../../../workflows/model/dump.ts';
import type { Selection } from '../../../../workflows/model/dump-selection.ts';
import { fullName } from '../../../../workflows/model/dump-selection.ts';
import type { Check } from '../../../../workflows/model/recovery.ts';
import type { Run } from '../../run.ts';
import type { Destination } from './destination.ts';
import type { Measured } from './measured.ts';
import { measureAll } from './measured.ts';
import { withReader } from './session.ts';
import type { Survey } from './survey.ts';
import { surveyOf } from './survey.ts';

const MOST_NAMED = 3;

export interface Looking {
  to: Destination;
  /** Database that is looked at. */
  name: string;
  /** Sessions at once. */
  sessions: number;
  run: Run;
}

export interface Found {
  survey: Survey;
  measured: Measured;
  /** Of the selection, those that are there. */
  tables: DumpedTable[];
}

export function tablesOf({ database, only }: Selection): DumpedTable[] {
  return only ? only.tables : database.tables;
}

/** What a database is now, counted and summed: of a selection, as far as it is there. */
export async function look({ to, name, sessions, run }: Looking, selection: Selection): Promise<Found> {
  const mode = { database: name, settings: to.settings, signal: run.signal };
  const survey = await withReader(to.connection, mode, surveyOf);
  const there = new Set(survey.tables.map(fullName));
  const tables = tablesOf(selection).filter((table) => there.has(fullName(table)));
  const measured = await measureAll(tables, {
    sessions,
    open: (work) => withReader(to.connection, mode, work),
    onTable: (done) => run.progress({ phase: 'prove', note: `${done} of ${tables.length} tables` }),
  });
  return { survey, measured, tables };
}

/** Every table, large object and sequence, with what it was when it was measured. */
export function compare(selection: Selection, found: Found): Check[] {
  const { database, only } = selection;
  return [
    tablesCheck(selection, found),
    sequencesCheck(selection, found.survey),
    ...(only ? [] : [largeObjectsCheck(database, found), objectsCheck(database, found.survey)]),
  ];
}

export function checkOf(name: string, wrong: readonly string[], said: { expected: string; found: string }): Check {
  if (wrong.length === 0) return { name, ok: true, ...said };
  const more = wrong.length > MOST_NAMED ? `; ${wrong.length - MOST_NAMED} more` : '';
  return { name, ok: false, expected: said.expected, found: `${wrong.slice(0, MOST_NAMED).join('; ')}${more}` };
}

function tablesCheck(selection: Selection, { tables, measured }: Found): Check {
  const wanted = tablesOf(selection);
  const at = new Map(tables.map((table, index) => [table, measured.tables[index]]));
  const wrong = wanted.flatMap((table) => {
    const found = at.get(table);
    if (!found) return [`${fullName(table)} is not there`];
    if (found.rows !== table.rows) return [`${fullName(table)} has ${found.rows} rows, not ${table.rows}`];
    return found.checksum === table.checksum ? [] : [`${fullName(table)} has other content in ${found.rows} rows`];
  });
  const rows = wanted.reduce((sum, table) => sum + table.rows, 0);
  const size = `${wanted.length} tables, ${rows} rows`;
  return checkOf(`rows and content of every table of ${selection.database.name}`, wrong, {
    expected: `${size}, as its snapshot had them`,
    found: size,
  });
}

/** They go on while a dump is made, and never back: a number is never given twice. */
function sequencesCheck({ database, only }: Selection, { sequences }: Survey): Check {
  const owned =
    only &&
    new Set(
      only.tables.flatMap(({ schema, sequences: own = [] }) =>
        own.map((name) => (name.includes('.') ? name : `${schema}.${name}`)),
      ),
    );
  const wanted = database.sequences.filter((sequence) => {
    if (!owned) return true;
    return only?.schema === undefined ? owned.has(fullName(sequence)) : sequence.schema === only.schema;
  });
  const there = new Map(sequences.map((sequence) => [fullName(sequence), sequence]));
  const wrong = wanted.flatMap((sequence) => {
    const found = there.get(fullName(sequence));
    if (!found) return [`${fullName(sequence)} is not there`];
    if (sequence.cycle || sequence.value === undefined) return [];
    const ahead =
      (BigInt(found.value ?? '0') - BigInt(sequence.value)) * (sequence.increment.startsWith('-') ? -1n : 1n);
    return found.value !== undefined && ahead >= 0n
      ? []
      : [`${fullName(sequence)} is at ${found.value ?? 'its start'}, not at ${sequence.value}`];
  });
  const size = `${wanted.length} sequences`;
  return checkOf(`sequences of ${database.name}`, wrong, { expected: `${size}, none behind`, found: size });
}

function largeObjectsCheck({ name, largeObjects: wanted }: DumpedDatabase, { measured }: Found): Check {
  const { largeObjects: found } = measured;
  const text = ({ count, bytes }: typeof found): string => `${count} large objects, ${bytes} bytes`;
  const wrong =
    found.count !== wanted.count || found.bytes !== wanted.bytes
      ? [text(found)]
      : found.checksum === wanted.checksum
        ? []
        : [`${text(found)}, with other content`];
  return checkOf(`large objects of ${name}`, wrong, { expected: text(wanted), found: text(found) });
}

function objectsCheck({ name, objects, extensions, schemas }: DumpedDatabase, found: Survey): Check {
  const kinds = [...new Set([...Object.keys(objects), ...Object.keys(found.objects)])].sort();
  const wrong = [
    ...kinds.flatMap((kind) => {
      const [wanted, has] = [objects[kind] ?? 0, found.objects[kind] ?? 0];
      return wanted === has ? [] : [`${has} ${kind}, not ${wanted}`];
    }),
    ...extensions.filter((each) => !found.extensions.includes(each)).map((each) => `no extension ${each}`),
    ...schemas.filter((each) => !found.schemas.includes(each)).map((each) => `no schema ${each}`),
  ];
  const count = Object.values(objects).reduce((sum, each) => sum + each, 0);
  return checkOf(`objects of ${name}`, wrong, {
    expected: `${count} of ${Object.keys(objects).length} kinds, as the source had them`,
    found: `${count} of ${kinds.length} kinds`,
  });
}
