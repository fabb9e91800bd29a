import { failure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import { rowBytes } from './rows.ts';
import type { Table } from './tables.ts';
import { listOf } from './tables.ts';

/** Rows in a temporary table, as they are to be written. */
export interface StagedRows {
  name: string;
  rows: number;
}

export async function insertFrom(client: SqlClient, table: Table, heap: StagedRows | undefined): Promise<number> {
  if (!heap) return 0;
  const columns = listOf(table.columns);
  const [row] = await query<{ count: string }>(
    client,
    `with written as (
       insert into ${table.into} (${columns}) overriding system value
       select ${columns} from pg_temp.${heap.name} on conflict do nothing returning 1)
     select count(*)::text as count from written`,
  );
  return exactly(table, Number(row?.count), {
    rows: heap.rows,
    what: 'inserted',
    why: 'another row has a value that must be unique, or a trigger keeps them away',
  });
}

export async function overwriteFrom(client: SqlClient, table: Table, heap: StagedRows | undefined): Promise<number> {
  if (!heap) return 0;
  const keys = new Set(table.key.map(({ name }) => name));
  // What is always generated cannot be set to anything.
  const set = table.columns.filter(({ name, identity }) => !keys.has(name) && identity !== 'a');
  const values = set.map(({ name }) => `${quoteIdent(name)} = s.${quoteIdent(name)}`).join(', ');
  const use = {
    rows: heap.rows,
    what: 'overwritten',
    why: 'a trigger keeps them, or what differs is always generated',
  };
  if (set.length === 0) return exactly(table, 0, use);
  const same = table.key.map(({ name }) => `t.${quoteIdent(name)} = s.${quoteIdent(name)}`).join(' and ');
  const [row] = await query<{ count: string }>(
    client,
    `with written as (
       update ${table.from} as t set ${values} from pg_temp.${heap.name} s where ${same} returning 1)
     select count(*)::text as count from written`,
  );
  return exactly(table, Number(row?.count), use);
}

function exactly(table: Table, found: number, use: { rows: number; what: string; why: string }): number {
  const { rows, what, why } = use;
  if (found === rows) return found;
  throw failure('Precondition', `${rows - found} of ${rows} rows of ${table.name} cannot be ${what}: ${why}`, {
    ...{ place: table.name, expected: `${rows} rows ${what}`, found: `${found}` },
    hint: 'nothing was written; choose other rows with --where, or mend those that are in the way',
  });
}

/** Keys of staged rows that the table has not, or has with other values. */
export function othersThan(table: Table, name: string): string {
  const same = table.key.map((column) => `t.${quoteIdent(column.name)} = s.${quoteIdent(column.name)}`).join(' and ');
  const bytes = (alias: string): string => rowBytes(table.columns, alias);
  return `select row(${listOf(table.key, 's')})::text as key from pg_temp.${name} s left join ${table.from} as t on ${same}
           where t.${quoteIdent(table.key[0]?.name ?? '')} is null or ${bytes('t')} <> ${bytes('s')}`;
}

/** Rows bring numbers along; a sequence that was set back would give them again. */
export async function sequencesBehind(client: SqlClient, table: Table): Promise<string[]> {
  const behind: string[] = [];
  for (const { name, type } of table.columns) {
    if (!['smallint', 'integer', 'bigint'].includes(type)) continue;
    const [row] = await query<{ sequence: string | null; last: string | null; most: string | null }>(
      client,
      `with s as (select pg_get_serial_sequence($1, $2)::regclass as sequence)
       select s.sequence::text, pg_sequence_last_value(s.sequence)::text as last,
              (select max(${quoteIdent(name)})::text from ${table.from}) as most from s where s.sequence is not null`,
      [table.into, name],
    );
    const last = row?.last ?? '0';
    if (row && BigInt(row.most ?? '0') > BigInt(last))
      behind.push(`${table.name}.${name}: sequence at ${last}, rows to ${row.most}`);
  }
  return behind;
}
