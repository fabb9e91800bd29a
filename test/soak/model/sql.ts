import { createHash } from 'node:crypto';
import type { Change, TableName } from './change.ts';

const WHOLE_TABLE = { 'drop-table': 'drop table', truncate: 'truncate', rewrite: 'vacuum full' } as const;
const TWO_PHASE = {
  prepare: 'prepare transaction',
  'commit-prepared': 'commit prepared',
  'rollback-prepared': 'rollback prepared',
} as const;

/** What makes a server do it, in order; `width` is that of the change's table. */
export function statementsOf(change: Change, width: number): string[] {
  switch (change.kind) {
    case 'create-database':
    case 'drop-database':
      return [databaseStatement(change)];
    case 'create-table':
      return [tableStatement(change)];
    case 'drop-table':
    case 'truncate':
    case 'rewrite':
      return [`${WHOLE_TABLE[change.kind]} ${change.table}`];
    case 'add-column':
      return [`alter table ${change.table} add column ${change.column} int not null default ${change.value}`];
    case 'add-index':
      return [`create index ${change.index} on ${change.table} (version, id)`];
    case 'prepare':
    case 'commit-prepared':
    case 'rollback-prepared':
      return [`${TWO_PHASE[change.kind]} '${change.gid}'`];
    default:
      return [rowStatement(change, width)];
  }
}

function tableStatement({ table, unlogged }: Change & { kind: 'create-table' }): string {
  const columns = 'id int primary key, version int not null, payload text not null';
  return `create ${unlogged ? 'unlogged ' : ''}table ${table} (${columns})`;
}

function databaseStatement({
  kind,
  database,
}: {
  kind: 'create-database' | 'drop-database';
  database: string;
}): string {
  return kind === 'create-database' ? `create database ${database}` : `drop database ${database} with (force)`;
}

function rowStatement(change: Change & TableName & { kind: 'insert' | 'update' | 'delete' }, width: number): string {
  const { table } = change;
  if (change.kind === 'insert') {
    const last = change.from + change.count - 1;
    const rows = `generate_series(${change.from}, ${last}) as made(id)`;
    return `insert into ${table} (id, version, payload) select made.id, 1, ${payloadSql('made.id', '1', width)} from ${rows}`;
  }
  const where = `where ${table}.id % ${change.modulo} = ${change.rest}`;
  if (change.kind === 'delete') return `delete from ${table} ${where}`;
  const payload = payloadSql(`${table}.id`, `(${table}.version + 1)`, width);
  return `update ${table} set version = version + 1, payload = ${payload} ${where}`;
}

function payloadSql(id: string, version: string, width: number): string {
  const piece = `md5(${id} || ':' || ${version} || ':' || part)`;
  return `(select string_agg(${piece}, '' order by part) from generate_series(1, ${width}) part)`;
}

/** MD5 of the payload that `payloadSql` makes, computed here. */
export function payloadSum({ id, version, width }: { id: number; version: number; width: number }): string {
  const sum = createHash('md5');
  for (let part = 1; part <= width; part++) sum.update(md5(`${id}:${version}:${part}`));
  return sum.digest('hex');
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
