import { findFailure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';

const MOST_PROBLEMS = 20;
/** Objects that one statement looks at: most are small, and to be asked for takes longer than to be looked at. */
export const TOGETHER = 50;

export interface Reading {
  relations: number;
  rows: number;
  /** What could not be read or is not sound, at most MOST_PROBLEMS of them. */
  problems: string[];
  /** Tables that cannot be read by anybody: a transaction of the source that is not over locks them. */
  held: string[];
  /** How: amcheck where the server has it, else reading every row. */
  method: 'amcheck and full scan' | 'full scan';
}

/**
 * Recovery brings back the locks of transactions that were under way: a prepared one keeps them until somebody finishes it,
 * any other until recovery ends. To wait for a table that one of them truncates or alters is to wait for ever.
 */
export const HELD = `exists (
  select from pg_locks l left join pg_stat_activity a on a.pid = l.pid
   where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted and l.relation = c.oid
     and l.database = (select oid from pg_database where datname = current_database())
     and (l.pid is null or a.backend_type = 'startup'))`;

interface Named {
  oid: string;
  name: string;
}

export interface Table extends Named {
  kind: string;
  heap: boolean;
}

/** One that is read, and what is found in all of them. */
export interface Database {
  database: string;
  run: Run;
  total: Reading;
}

/** The extension is made in a transaction that is rolled back: the recovered database stays as it was. */
export async function checkStructure(client: SqlClient, at: Database, tables: Table[]): Promise<void> {
  const [able] = await query<{ able: boolean }>(
    client,
    `select not pg_is_in_recovery() and exists (select from pg_available_extensions where name = 'amcheck') as able`,
  );
  if (!able?.able) return;
  // A database may be read-only by default.
  await query(client, 'begin read write');
  try {
    await query(client, 'create extension if not exists amcheck');
    const schema = await schemaOf(client);
    at.total.method = 'amcheck and full scan';
    const heaps = tables.filter(({ heap, kind }) => heap && kind !== 'S');
    await checkAll(client, { ...at, schema }, { of: heaps, ...HEAPS });
    await checkAll(client, { ...at, schema }, { of: await indexesOf(client), ...INDEXES });
  } finally {
    await query(client, 'rollback').catch(() => undefined);
  }
}

/** One that was there may stand anywhere. */
async function schemaOf(client: SqlClient): Promise<string> {
  const [row] = await query<{ schema: string }>(
    client,
    `select format('%I', n.nspname) as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'amcheck'`,
  );
  return row?.schema ?? 'pg_catalog';
}

interface Structure extends Database {
  /** That of amcheck, quoted. */
  schema: string;
}

interface Checks<T extends Named> {
  of: readonly T[];
  /** SQL that looks at all objects whose oids are $1; it fails when one of them is not sound. */
  together(schema: string): string;
  /** What it gives for each says that something is wrong, too. */
  tells?: true;
  /** Looks at one of them, and notes what is wrong. */
  one(client: SqlClient, at: Structure, object: T): Promise<unknown>;
}

const HEAPS: Omit<Checks<Named>, 'of'> = {
  together: (schema) => `select 1 from unnest($1::oid[]) o, lateral ${schema}.verify_heapam(o::regclass) limit 1`,
  tells: true,
  one: async (client, at, { oid, name }) => {
    const rows = await query<{ blkno: string; msg: string }>(
      client,
      `select blkno::text, msg from ${at.schema}.verify_heapam($1::regclass) limit 5`,
      [oid],
    );
    for (const row of rows) note(at, `${name} block ${row.blkno}: ${row.msg}`);
  },
};

const INDEXES: Omit<Checks<Named>, 'of'> = {
  together: (schema) => `select ${schema}.bt_index_check(o::regclass) from unnest($1::oid[]) o`,
  one: (client, { schema }, { oid }) => query(client, `select ${schema}.bt_index_check($1::regclass)`, [oid]),
};

/** Many by one statement; those among which something is wrong one by one, so that it is known what and where. */
async function checkAll<T extends Named>(client: SqlClient, at: Structure, checks: Checks<T>): Promise<void> {
  for (const some of batchesOf(checks.of, TOGETHER)) {
    at.run.signal.throwIfAborted();
    if (await areSound(client, some, checks, at.schema)) continue;
    for (const object of some) await inSavepoint(client, at, object.name, () => checks.one(client, at, object));
  }
}

async function areSound(
  client: SqlClient,
  some: readonly Named[],
  ...[{ together, tells }, schema]: [Pick<Checks<Named>, 'together' | 'tells'>, string]
): Promise<boolean> {
  await query(client, 'savepoint checked');
  try {
    const rows = await query(client, together(schema), [some.map(({ oid }) => oid)]);
    return tells !== true || rows.length === 0;
  } catch (error) {
    if (!findFailure(error)) throw error;
    return false;
  } finally {
    await query(client, 'rollback to savepoint checked; release savepoint checked');
  }
}

function indexesOf(client: SqlClient): Promise<Named[]> {
  return query<{ oid: string; name: string }>(
    client,
    `select i.indexrelid::text as oid, i.indexrelid::regclass::text as name
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
       join pg_am a on a.oid = x.relam
      where a.amname = 'btree' and i.indisvalid and i.indisready and x.relpersistence <> 't' and x.relkind = 'i'
        and not ${HELD}`,
  );
}

/** An error must not end the transaction that holds the extension. */
async function inSavepoint(
  client: SqlClient,
  ...[at, name, check]: [Database, string, () => Promise<unknown>]
): Promise<void> {
  await query(client, 'savepoint checked');
  await attempt(at, name, check);
  await query(client, 'rollback to savepoint checked; release savepoint checked');
}

export function batchesOf<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

export async function attempt(at: Database, name: string, check: () => Promise<unknown>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!findFailure(error)) throw error;
    note(at, `${name}: ${findFailure(error)?.message ?? ''}`);
  }
}

export function note(at: Database, problem: string): void {
  if (at.total.problems.length < MOST_PROBLEMS) at.total.problems.push(`${at.database}: ${problem}`.slice(0, 300));
}
