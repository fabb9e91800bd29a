import { findFailure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import { withRecovered } from './session.ts';

/** Databases read at once. */
const PARALLEL = 4;

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

const MOST_PROBLEMS = 20;
/** DROP DATABASE marks it and removes its files before it commits, and neither is undone by a stop before that commit. */
const DROPPED = 'is invalid: a DROP DATABASE was under way at the target; its files are gone, choose an earlier target';

/** Reads every table of every database that is restored to its last row, and checks heap and index structure where amcheck can be had. */
export async function readEverything(plan: RecoveryPlan, run: Run): Promise<Reading> {
  const names = await withRecovered(plan, {}, (client) =>
    query<{ datname: string; invalid: boolean }>(
      client,
      `select datname, datconnlimit = -2 as invalid from pg_database
        where datallowconn and ($1::oid[] is null or oid = any ($1::oid[]))
        order by case when datconnlimit <> -2 then pg_database_size(oid) end desc nulls last`,
      [plan.partial?.kept ?? null],
    ),
  );
  const total: Reading = { relations: 0, rows: 0, problems: [], held: [], method: 'full scan' };
  const queue = names.filter((row) => !row.invalid).map((row) => row.datname);
  for (const { datname } of names.filter((row) => row.invalid)) note({ database: datname, run, total }, DROPPED);
  const work = async (): Promise<void> => {
    for (let database = queue.shift(); database !== undefined; database = queue.shift()) {
      run.signal.throwIfAborted();
      await readDatabase(plan, { database, run, total });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return total;
}

/**
 * Recovery brings back the locks of transactions that were under way: a prepared one keeps them until somebody finishes it,
 * any other until recovery ends. To wait for a table that one of them truncates or alters is to wait for ever.
 */
const HELD = `exists (
  select from pg_locks l left join pg_stat_activity a on a.pid = l.pid
   where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted and l.relation = c.oid
     and l.database = (select oid from pg_database where datname = current_database())
     and (l.pid is null or a.backend_type = 'startup'))`;

type Table = { oid: string; name: string; kind: string; heap: boolean; held: boolean };

interface Database {
  database: string;
  run: Run;
  total: Reading;
}

function readDatabase(plan: RecoveryPlan, at: Database): Promise<void> {
  return withRecovered(plan, { database: at.database, statementTimeoutMs: 0 }, async (client) => {
    // A count answered from an index and the visibility map would read no page of the table.
    await query(client, 'set enable_indexonlyscan = off; set enable_indexscan = off; set enable_bitmapscan = off');
    const found = await query<Table>(
      client,
      `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
              coalesce(a.amname = 'heap', false) as heap, ${HELD} as held
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         left join pg_am a on a.oid = c.relam
        where c.relkind in ('r', 'm', 't', 'S') and c.relispopulated and c.relpersistence <> 't'
              -- Empty until recovery has ended, and not to be opened before.
          and not (c.relpersistence = 'u' and pg_is_in_recovery())
        order by c.relpages desc`,
    );
    // Its TOAST table is held with it, and nobody knows that by name.
    const held = found.filter((table) => table.held && table.kind !== 't');
    at.total.held.push(...held.map(({ name }) => `${at.database}: ${name}`));
    const tables = found.filter((table) => !table.held);
    for (const table of tables) await readTable(client, at, table);
    await checkStructure(client, at, tables);
  });
}

async function readTable(client: SqlClient, at: Database, table: Table): Promise<void> {
  at.run.signal.throwIfAborted();
  await attempt(at, table.name, async () => {
    const [row] = await query<{ n: string }>(client, `select count(*)::text as n from ${table.name}`);
    at.total.relations += 1;
    // What stands in a TOAST table are pieces of rows, a sequence is none, and the catalogue is not the user's data.
    if (table.kind !== 'S' && !/^(pg_toast|pg_catalog|information_schema)\./.test(table.name))
      at.total.rows += Number(row?.n ?? 0);
    at.run.progress({
      phase: 'prove',
      note: `${at.database}: ${table.name}`,
      counters: { relations: at.total.relations, rows: at.total.rows },
    });
  });
}

/** The extension is made in a transaction that is rolled back: the recovered database stays as it was. */
async function checkStructure(client: SqlClient, at: Database, tables: Table[]): Promise<void> {
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
    for (const table of tables) if (table.heap && table.kind !== 'S') await checkHeap(client, { ...at, schema }, table);
    await checkIndexes(client, { ...at, schema });
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

async function checkHeap(client: SqlClient, at: Structure, table: Table): Promise<void> {
  await inSavepoint(client, at, table.name, async () => {
    const rows = await query<{ blkno: string; msg: string }>(
      client,
      `select blkno::text, msg from ${at.schema}.verify_heapam($1::regclass) limit 5`,
      [table.oid],
    );
    for (const row of rows) note(at, `${table.name} block ${row.blkno}: ${row.msg}`);
  });
}

async function checkIndexes(client: SqlClient, at: Structure): Promise<void> {
  const indexes = await query<{ oid: string; name: string }>(
    client,
    `select i.indexrelid::text as oid, i.indexrelid::regclass::text as name
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
       join pg_am a on a.oid = x.relam
      where a.amname = 'btree' and i.indisvalid and i.indisready and x.relpersistence <> 't' and x.relkind = 'i'
        and not ${HELD}`,
  );
  for (const index of indexes) {
    at.run.signal.throwIfAborted();
    await inSavepoint(client, at, index.name, () =>
      query(client, `select ${at.schema}.bt_index_check($1::regclass)`, [index.oid]),
    );
  }
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

async function attempt(at: Database, name: string, check: () => Promise<unknown>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!findFailure(error)) throw error;
    note(at, `${name}: ${findFailure(error)?.message ?? ''}`);
  }
}

function note(at: Database, problem: string): void {
  if (at.total.problems.length < MOST_PROBLEMS) at.total.problems.push(`${at.database}: ${problem}`.slice(0, 300));
}
