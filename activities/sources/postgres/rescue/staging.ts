import { failure } from '../../../../workflows/model/failure.ts';
import type { Rescued } from '../../../../workflows/model/rescue.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import type { Pair, Sides } from './difference.ts';
import type { Change, KeyedRow } from './rows.ts';
import { rowBytes } from './rows.ts';
import type { Column, Table } from './tables.ts';
import { listOf, parentsFirst } from './tables.ts';

/** Rows that are carried at once. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 8 << 20;

type Kind = 'missing' | 'differing';

interface Heap {
  pair: Pair;
  kind: Kind;
  /** Temporary table. */
  name: string;
  waiting: KeyedRow[];
  waitingBytes: number;
  rows: number;
  /** Sum of 64 bits of each row's hash, as the copy has it. */
  sum: bigint;
}

/**
 * Rows on their way, in temporary tables of the transaction: the tables themselves are touched only when all of it is known to be
 * what was approved, by one statement each, so that rows that refer to each other come together, and locks are held for moments.
 */
export class Staging {
  readonly #sides: Sides;
  readonly #pairs: readonly Pair[];
  readonly #heaps: Heap[] = [];

  constructor(sides: Sides, pairs: readonly Pair[]) {
    this.#sides = sides;
    this.#pairs = pairs;
  }

  async add(pair: Pair, change: Exclude<Change, { what: 'extra' }>): Promise<void> {
    const { copy } = change;
    const heap = await this.#heapOf(pair, change.what === 'missing' ? 'missing' : 'differing');
    heap.waiting.push(copy);
    heap.waitingBytes += copy.bytes;
    heap.rows += 1;
    heap.sum += copy.hash.readBigInt64BE(0);
    if (heap.waiting.length >= BATCH_ROWS || heap.waitingBytes >= BATCH_BYTES) await this.#carry(heap);
  }

  async #heapOf(pair: Pair, kind: Kind): Promise<Heap> {
    const known = this.#heaps.find((heap) => heap.pair === pair && heap.kind === kind);
    if (known) return known;
    const name = `lifeboat_${kind}_${this.#pairs.indexOf(pair) + 1}`;
    const { columns, from } = pair.now;
    await query(
      this.#sides.now,
      `create temporary table ${name} on commit drop as select ${listOf(columns)} from ${from} with no data`,
    );
    const heap: Heap = { pair, kind, name, waiting: [], waitingBytes: 0, rows: 0, sum: 0n };
    this.#heaps.push(heap);
    return heap;
  }

  /** Fetches the waiting rows by their keys, as text, and puts them into the temporary table. */
  async #carry(heap: Heap): Promise<void> {
    const { copy, now } = heap.pair;
    const ids = heap.waiting.map(({ id }) => id);
    heap.waiting = [];
    heap.waitingBytes = 0;
    if (ids.length === 0) return;
    const columns = now.columns;
    const values = columns.map(({ name }) => `t.${quoteIdent(name)}::text`).join(', ');
    const found = await query<{ row: (string | null)[] }>(
      this.#sides.copy,
      `select array[${values}] as row from ${copy.from} as t join ${unnested(copy.key)} on ${onKey(copy.key, 't')}`,
      copy.key.map((_, index) => ids.map((id) => id[index])),
    );
    const given = columns.map((_, index) => found.map(({ row }) => row[index] ?? null));
    const cast = columns.map(({ type }, index) => `k.c${index}::${type}`).join(', ');
    await query(
      this.#sides.now,
      `insert into pg_temp.${heap.name} (${listOf(columns)}) select ${cast} from ${unnested(columns)}`,
      given,
    );
  }

  /** Carries what still waits. Integrity when rows are not what they are in the copy. */
  async complete(): Promise<void> {
    for (const heap of this.#heaps) {
      await this.#carry(heap);
      await checkHeap(this.#sides.now, heap);
    }
  }

  /** Writes every table, those first that others refer to; each row counts. */
  async write(): Promise<Pick<Rescued, 'tables' | 'behind'>> {
    const { now } = this.#sides;
    const order = await parentsFirst(
      now,
      this.#pairs.map((pair) => pair.now),
    );
    const tables: Rescued['tables'] = [];
    const behind: string[] = [];
    for (const table of order) {
      const heapOf = (kind: Kind): Heap | undefined =>
        this.#heaps.find((heap) => heap.pair.now === table && heap.kind === kind);
      const inserted = await insertFrom(now, table, heapOf('missing'));
      const overwritten = await overwriteFrom(now, table, heapOf('differing'));
      tables.push({ table: table.name, inserted, overwritten });
      if (inserted > 0) behind.push(...(await sequencesBehind(now, table)));
    }
    return { tables, behind };
  }
}

/** `unnest($1::text[], $2::text[]) as k(c0, c1)`: one row of texts for each row of values. */
function unnested(columns: readonly Column[]): string {
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(', ');
  return `unnest(${arrays}) as k(${columns.map((_, index) => `c${index}`).join(', ')})`;
}

function onKey(key: readonly Column[], alias: string): string {
  return key.map(({ name, type }, index) => `${alias}.${quoteIdent(name)} = k.c${index}::${type}`).join(' and ');
}

/** Texts went from one server to another: the rows that they make must be those of the copy. */
async function checkHeap(client: SqlClient, { pair, name, rows, sum }: Heap): Promise<void> {
  const hashed = `sha256(${rowBytes(pair.now.columns, 's')})`;
  const [found] = await query<{ rows: string; sum: string }>(
    client,
    `select count(*)::text as rows, coalesce(sum(('x' || left(encode(${hashed}, 'hex'), 16))::bit(64)::bigint), 0)::text as sum
       from pg_temp.${name} s`,
  );
  if (found?.rows === String(rows) && found.sum === String(sum)) return;
  throw failure('Integrity', `rows of ${pair.now.name} did not come out of the copy as they are in it`, {
    ...{ place: pair.now.name, expected: `${rows} rows, sum ${sum}`, found: `${found?.rows} rows, sum ${found?.sum}` },
    hint: 'nothing was written; look at what writes to the copy',
  });
}

async function insertFrom(client: SqlClient, table: Table, heap: Heap | undefined): Promise<number> {
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

async function overwriteFrom(client: SqlClient, table: Table, heap: Heap | undefined): Promise<number> {
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

/** Rows bring numbers along; a sequence that was set back would give them again. */
async function sequencesBehind(client: SqlClient, table: Table): Promise<string[]> {
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
