import type { DumpedTable, LargeObjects } from '../../../../workflows/model/dump.ts';
import type { SqlClient } from '../connection.ts';
import { query } from '../connection.ts';
import { quoteName } from '../identifier.ts';

/** 64 bits of a SHA-256 as a number; a sum of them is the same in whatever order the rows stand. */
function hash(bytes: string): string {
  return `('x' || left(encode(sha256(${bytes}), 'hex'), 16))::bit(64)::bigint`;
}

export interface Measure {
  rows: number;
  checksum: string;
}

/** How many rows a table has and what is in them, as this session sees them: of its own, not of what inherits from it. */
export async function measureTable(client: SqlClient, table: Pick<DumpedTable, 'schema' | 'name'>): Promise<Measure> {
  // A column may have any name, and would go before the row's.
  const row = 'convert_to(lifeboat_row_of_table::text, getdatabaseencoding())';
  const [found] = await query<{ rows: string; checksum: string }>(
    client,
    `select count(*)::text as rows, coalesce(sum(${hash(row)}), 0)::text as checksum
       from only ${quoteName(table.schema, table.name)} as lifeboat_row_of_table`,
  );
  return { rows: Number(found?.rows), checksum: found?.checksum ?? '' };
}

const PIECE_BYTES = 1 << 20;

/** Every large object, piece by piece: none of them is in memory whole, neither here nor there. */
export async function measureLargeObjects(client: SqlClient): Promise<LargeObjects> {
  const piece = (oid: string, at: string): string => `
    select ${oid} as id, ${at} as start, octet_length(body) as bytes,
           ${hash(`convert_to(${oid}::text || ':' || ${at}::text || ':', 'SQL_ASCII') || body`)} as hash
      from (select lo_get(${oid}, ${at}, ${PIECE_BYTES}) as body offset 0) one`;
  const [found] = await query<{ count: string; bytes: string; checksum: string }>(
    client,
    `with recursive piece as (
       select first.* from pg_largeobject_metadata m, lateral (${piece('m.oid', '0::bigint')}) first
       union all
       select next.* from piece p, lateral (${piece('p.id', `(p.start + ${PIECE_BYTES})`)}) next
        where p.bytes = ${PIECE_BYTES})
     select count(*) filter (where start = 0)::text as count, coalesce(sum(bytes), 0)::text as bytes,
            coalesce(sum(hash), 0)::text as checksum from piece`,
  );
  return { count: Number(found?.count), bytes: Number(found?.bytes), checksum: found?.checksum ?? '' };
}
