import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, queryOne } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import type { Column, Table } from './tables.ts';
import { listOf } from './tables.ts';

/** A row as it is compared: small, whatever is in it. */
export interface KeyedRow {
  /** Text of the key columns as a row, in the encoding of the database: rows are in the order of these bytes. */
  key: Buffer;
  /** SHA-256 of the text of the row. */
  hash: Buffer;
  /** Values of the key columns. */
  id: string[];
  /** Of the text of the row. */
  bytes: number;
  chosen: boolean;
}

const AT_ONCE = 2000;
/** A column may have any name, and would go before that of the row. */
export const ROW = 'lifeboat_row_of_table';

/** A condition that is null chooses nothing; one that ends in a comment ends there. */
export function conditionOf(where: string | undefined): string {
  return where === undefined ? 'true' : `coalesce((${where}\n), false)`;
}

/** The text of a row of these columns, as bytes. The order of columns is that of their names: a table may have been made anew. */
export function rowBytes(columns: readonly Column[], alias: string): string {
  const named = columns.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return `convert_to(row(${listOf(named, alias)})::text, getdatabaseencoding())`;
}

/**
 * All rows of a table in the order of their keys, a batch at a time, as the transaction of this session sees them. The order is
 * that of bytes: of collations nobody knows whether they are the same on both sides.
 */
export async function* sortedRows(
  client: SqlClient,
  { columns, key, from }: Table,
  where: string | undefined,
): AsyncGenerator<KeyedRow> {
  const keyed = `convert_to(row(${listOf(key, ROW)})::text, getdatabaseencoding())`;
  const ids = key.map(({ name }) => `${ROW}.${quoteIdent(name)}::text`).join(', ');
  const row = rowBytes(columns, ROW);
  const chosen = conditionOf(where);
  await queryOne(
    client,
    `declare lifeboat_rows no scroll cursor for
       select ${keyed} as key, sha256(${row}) as hash, array[${ids}] as id, octet_length(${row}) as bytes, ${chosen} as chosen
         from ${from} as ${ROW} order by 1`,
  );
  for (;;) {
    const batch = await query<KeyedRow & Record<string, unknown>>(client, `fetch ${AT_ONCE} from lifeboat_rows`);
    yield* batch;
    if (batch.length < AT_ONCE) break;
  }
  await query(client, 'close lifeboat_rows');
}

/** What became of a row of the copy, or of one that is not in it. */
export type Change =
  | { what: 'missing'; copy: KeyedRow }
  | { what: 'differing' | 'same'; copy: KeyedRow; now: KeyedRow }
  | { what: 'extra'; now: KeyedRow };

/** Both sides at once, each read once; nothing is held but one row of each. */
export async function* mergeRows(copy: AsyncIterable<KeyedRow>, now: AsyncIterable<KeyedRow>): AsyncGenerator<Change> {
  const [left, right] = [copy[Symbol.asyncIterator](), now[Symbol.asyncIterator]()];
  let [a, b] = [await left.next(), await right.next()];
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : Buffer.compare(a.value.key, b.value.key);
    if (order < 0 && !a.done) {
      yield { what: 'missing', copy: a.value };
      a = await left.next();
    } else if (order > 0 && !b.done) {
      yield { what: 'extra', now: b.value };
      b = await right.next();
    } else if (!a.done && !b.done) {
      const what = a.value.hash.equals(b.value.hash) ? 'same' : 'differing';
      yield { what, copy: a.value, now: b.value };
      [a, b] = [await left.next(), await right.next()];
    }
  }
}
