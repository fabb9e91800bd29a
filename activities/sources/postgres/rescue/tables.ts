import { failure } from '../../../../workflows/model/failure.ts';
import { nearestName } from '../../../../workflows/model/nearest.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent, quoteName } from '../../../io/postgres/identifier.ts';

export interface Column {
  name: string;
  /** As SQL takes it, with its schema: a cast from text to it gives the value back. */
  type: string;
  /** Computed by the server: compared and written by nobody. */
  generated: boolean;
  /** 'a': always, which no UPDATE may set; 'd': by default; '': none. */
  identity: string;
  /** Place in the primary key, from 1. */
  key: number | null;
}

export interface Table {
  /** "schema.name" */
  name: string;
  /** For FROM and INSERT: of a table with storage, without what inherits from it. */
  from: string;
  into: string;
  oid: string;
  encoding: string;
  /** All but the generated ones, in the order of the table. */
  columns: Column[];
  /** In the order of the key. */
  key: Column[];
  /** Names of triggers of somebody else that fire when a row is inserted or updated. */
  triggers: string[];
}

/** Of pg_trigger.tgtype: 4 is for an insert, 16 for an update (src/include/catalog/pg_trigger.h). */
const TABLES = `
  select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.oid::text as oid,
         (select pg_encoding_to_char(encoding) from pg_database where datname = current_database()) as encoding,
         (select coalesce(json_agg(json_build_object(
                   'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '',
                   'identity', a.attidentity,
                   'key', (select k.place from pg_index i, unnest(i.indkey) with ordinality k(number, place)
                            where i.indrelid = c.oid and i.indisprimary and k.number = a.attnum)) order by a.attnum), '[]')
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
         (select coalesce(json_agg(t.tgname order by t.tgname), '[]') from pg_trigger t
           where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and (t.tgtype & 20) <> 0) as triggers
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and (n.nspname || '.' || c.relname = $1 or c.relname = $1)`;

interface Row extends Record<string, unknown> {
  schema: string;
  name: string;
  kind: string;
  oid: string;
  encoding: string;
  columns: Column[];
  triggers: string[];
}

/** One table with a primary key, by "name" or "schema.name". `where` says in which of the two databases it is looked for. */
export async function tableNamed(client: SqlClient, wanted: string, where: string): Promise<Table> {
  const found = await query<Row>(client, TABLES, [wanted]);
  const exact = found.filter(({ schema, name }) => `${schema}.${name}` === wanted);
  const [first, second] = exact.length > 0 ? exact : found;
  if (!first) throw await absent(client, wanted, where);
  if (second) {
    throw failure('ConfigInvalid', `table ${wanted} is in several schemas`, {
      ...{ place: 'tables', found: wanted, expected: `one of ${found.map((row) => nameOf(row)).join(', ')}` },
      hint: 'name it with its schema: --table SCHEMA.TABLE',
    });
  }
  const table = tableOf(first);
  if (table.key.length > 0) return table;
  throw failure('Unsupported', `table ${table.name} has no primary key: nobody can tell which rows are the same`, {
    ...{ place: 'tables', expected: 'a table with a primary key', found: table.name },
    hint: `bring all of it over instead: --only-table ${table.name} --into-database NAME`,
  });
}

function nameOf({ schema, name }: Pick<Row, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

function tableOf({ schema, name, kind, oid, encoding, columns, triggers }: Row): Table {
  const into = quoteName(schema, name);
  return {
    ...{ name: nameOf({ schema, name }), into, from: kind === 'p' ? into : `only ${into}`, oid },
    ...{ encoding, triggers },
    columns: columns.filter(({ generated }) => !generated),
    key: columns.filter(({ key }) => key !== null).toSorted((a, b) => (a.key ?? 0) - (b.key ?? 0)),
  };
}

async function absent(client: SqlClient, wanted: string, where: string): Promise<Error> {
  const rows = await query<{ name: string }>(
    client,
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1`,
  );
  const names = rows.map(({ name }) => name);
  const near = nearestName(wanted, names);
  return failure('NotFound', `table ${wanted} is not in ${where}`, {
    ...{
      place: 'tables',
      found: wanted,
      expected: `one of ${names.slice(0, 10).join(', ') || 'none: it has no tables'}`,
    },
    hint:
      near === undefined ? `bring it over whole: --only-table ${wanted} --into-database NAME` : `did you mean ${near}?`,
  });
}

/** Precondition when rows of the one are no rows of the other. */
export function checkAlike(copy: Table, now: Table): void {
  const text = ({ columns, key, encoding }: Table): string =>
    `${columns.map(({ name, type }) => `${name} ${type}`).join(', ')}; key ${key.map(({ name }) => name).join(', ')}; ${encoding}`;
  const [expected, found] = [text(copy), text(now)];
  if (sorted(copy) === sorted(now) && copy.encoding === now.encoding) return;
  throw failure('Precondition', `table ${now.name} has other columns now than in the copy`, {
    ...{ place: `table ${now.name}`, expected: expected.slice(0, 1000), found: found.slice(0, 1000) },
    hint: `bring it over beside production, and take the rows from there: --only-table ${now.name} --into-database NAME`,
  });
}

function sorted({ columns, key }: Table): string {
  const one = columns.map(({ name, type }) => JSON.stringify([name, type])).toSorted();
  return JSON.stringify([one, key.map(({ name }) => name)]);
}

/** Those that others refer to come first, so that a row is there when it is pointed at. */
export async function parentsFirst(client: SqlClient, tables: readonly Table[]): Promise<Table[]> {
  const edges = await query<{ child: string; parent: string }>(
    client,
    `select conrelid::text as child, confrelid::text as parent from pg_constraint
      where contype = 'f' and conrelid <> confrelid and conrelid = any ($1::oid[]) and confrelid = any ($1::oid[])`,
    [tables.map(({ oid }) => oid)],
  );
  const left = [...tables];
  const ordered: Table[] = [];
  while (left.length > 0) {
    const waits = ({ oid }: Table): boolean =>
      edges.some(({ child, parent }) => child === oid && left.some((other) => other.oid === parent));
    // Tables that refer to each other go as they come: their keys have to be deferrable.
    const next = left.findIndex((table) => !waits(table));
    ordered.push(...left.splice(Math.max(0, next), 1));
  }
  return ordered;
}

/** "t"."a", "t"."b" */
export function listOf(columns: readonly Column[], alias?: string): string {
  const prefix = alias === undefined ? '' : `${alias}.`;
  return columns.map(({ name }) => `${prefix}${quoteIdent(name)}`).join(', ');
}
