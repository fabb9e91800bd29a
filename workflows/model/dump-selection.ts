import type { DumpedDatabase, DumpedTable, ImportPlan } from './dump.ts';
import { failure } from './failure.ts';
import { nearestName } from './nearest.ts';

/** What of one database is restored. */
export interface Selection {
  database: DumpedDatabase;
  /** Absent: whole. */
  only?: Only;
}

export interface Only {
  schema?: string;
  /** The chosen tables, with what they are a part of and what is a part of them; of a schema, all of it. */
  tables: DumpedTable[];
}

const MOST_NAMED = 10;

/** The databases, and what of each. NotFound, with the nearest name, for what the dump does not have. */
export function selectionsOf(databases: readonly DumpedDatabase[], plan: ImportPlan): Selection[] {
  const chosen = plan.database === undefined ? [...databases] : [findDatabase(databases, plan.database)];
  const [first, second] = chosen;
  if (plan.schema === undefined && plan.table === undefined) return chosen.map((database) => ({ database }));
  if (!first || second) throw ambiguous(databases);
  return [{ database: first, only: onlyOf(first, plan) }];
}

function findDatabase(databases: readonly DumpedDatabase[], wanted: string): DumpedDatabase {
  const names = databases.map(({ name }) => name);
  return databases.find(({ name }) => name === wanted) ?? absent('database', wanted, names);
}

function ambiguous(databases: readonly DumpedDatabase[]): Error {
  return failure('ConfigInvalid', 'a schema or table is of one database, and the dump has several', {
    place: 'onlyDatabase',
    expected: `one of ${databases.map(({ name }) => name).join(', ')}`,
    found: 'nothing',
    hint: 'name it with --only-database',
  });
}

function onlyOf(database: DumpedDatabase, { schema, table }: ImportPlan): Only {
  if (schema !== undefined && !database.schemas.includes(schema)) absent('schema', schema, database.schemas);
  if (table === undefined) {
    return { schema: schema ?? '', tables: database.tables.filter((each) => each.schema === schema) };
  }
  const found = tablesNamed(database, { schema, table });
  const [first, second] = found;
  if (second) {
    throw failure('ConfigInvalid', `table ${table} is in several schemas`, {
      ...{ place: 'onlyTable', found: table, expected: `one of ${found.map(fullName).join(', ')}` },
      hint: 'name it with its schema: --only-table SCHEMA.TABLE',
    });
  }
  if (first) return { tables: familyOf(database, first) };
  const names = database.tables.map(schema === undefined ? fullName : ({ name }) => name);
  return absent('table', table, names);
}

function tablesNamed(
  { tables }: DumpedDatabase,
  { schema, table }: { schema: string | undefined; table: string },
): DumpedTable[] {
  const exact = tables.filter((each) => fullName(each) === table && (schema === undefined || each.schema === schema));
  if (exact.length > 0) return exact;
  return tables.filter((each) => each.name === table && (schema === undefined || each.schema === schema));
}

/** A partition cannot stand without what it is a part of, and a partitioned table has no rows without its partitions. */
function familyOf({ tables }: DumpedDatabase, table: DumpedTable): DumpedTable[] {
  const above = new Set(table.partitionOf ?? []);
  return tables.filter(
    (each) => each === table || above.has(fullName(each)) || each.partitionOf?.includes(fullName(table)) === true,
  );
}

export function fullName({ schema, name }: { schema: string; name: string }): string {
  return `${schema}.${name}`;
}

function absent(what: string, wanted: string, known: readonly string[]): never {
  const near = nearestName(wanted, [...known]);
  const shown = known.slice(0, MOST_NAMED).join(', ');
  throw failure('NotFound', `${what} ${wanted} is not in this dump`, {
    place: `only${what.charAt(0).toUpperCase()}${what.slice(1)}`,
    expected: known.length === 0 ? `a ${what}; the dump has none` : `one of ${shown}`,
    found: wanted,
    hint: near === undefined ? 'lifeboat show POINT' : `did you mean ${near}?`,
  });
}
