import { failure } from '../../../../workflows/model/failure.ts';
import type { OtherwiseWritten, Rescued } from '../../../../workflows/model/rescue.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import type { Pair, Sides } from './difference.ts';
import type { Change, KeyedRow } from './rows.ts';
import { rowBytes } from './rows.ts';
import type { Column } from './tables.ts';
import { listOf, parentsFirst } from './tables.ts';
import { insertFrom, othersThan, overwriteFrom, sequencesBehind } from './write-rows.ts';

/** Rows that are carried at once. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 8 << 20;
/** Keys that are told of a table, and letters of each. */
const SHOWN = 20;
const SHOWN_LETTERS = 80;

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
  async write(): Promise<Pick<Rescued, 'tables' | 'behind' | 'otherwise'>> {
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
    // What waits for the end of the transaction may change rows, too.
    await query(now, 'set constraints all immediate');
    const otherwise = await this.#readBack();
    return { tables, behind, ...(otherwise.length > 0 ? { otherwise } : {}) };
  }

  /** Every row that was written, beside the one that was to be. */
  async #readBack(): Promise<OtherwiseWritten[]> {
    const found: OtherwiseWritten[] = [];
    for (const { now: table } of this.#pairs) {
      const heaps = this.#heaps.filter(({ pair }) => pair.now === table);
      const others = heaps.map(({ name }) => othersThan(table, name));
      if (others.length === 0) continue;
      const [row] = await query<{ rows: string; first: string[] | null }>(
        this.#sides.now,
        `with others as (${others.join(' union all ')})
         select (select count(*)::text from others) as rows, array(select key from others order by key limit ${SHOWN}) as first`,
      );
      const rows = Number(row?.rows ?? 0);
      const first = (row?.first ?? []).map((key) => key.slice(0, SHOWN_LETTERS));
      if (rows > 0) found.push({ table: table.name, rows, first, triggers: table.triggers });
    }
    return found;
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
