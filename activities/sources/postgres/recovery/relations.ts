import { findFailure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import { withRecovered } from './session.ts';
import { attempt, batchesOf, checkStructure, HELD, note, TOGETHER } from './structure.ts';
import type { Database, Reading, Table } from './structure.ts';

/** Databases read at once. */
const PARALLEL = 4;

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

/** Larger ones, in pages, are counted alone, so that it is seen how far it is. */
const LARGE_PAGES = 1000;

type Listed = Table & { held: boolean; large: boolean };

function readDatabase(plan: RecoveryPlan, at: Database): Promise<void> {
  return withRecovered(plan, { database: at.database, statementTimeoutMs: 0 }, async (client) => {
    // A count answered from an index and the visibility map would read no page of the table.
    await query(client, 'set enable_indexonlyscan = off; set enable_indexscan = off; set enable_bitmapscan = off');
    const found = await query<Listed>(
      client,
      `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
              coalesce(a.amname = 'heap', false) as heap, ${HELD} as held,
              c.relpages > ${LARGE_PAGES} as large
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
    for (const table of tables.filter(({ large }) => large)) await readTable(client, at, table);
    for (const some of batchesOf(
      tables.filter(({ large }) => !large),
      TOGETHER,
    ))
      await readTables(client, at, some);
    await checkStructure(client, at, tables);
  });
}

/** All by one statement; when that fails, one by one, so that it is known which of them cannot be read. */
async function readTables(client: SqlClient, at: Database, tables: readonly Table[]): Promise<void> {
  at.run.signal.throwIfAborted();
  const counts = await countsOf(client, tables);
  for (const [index, table] of tables.entries()) {
    if (counts) counted(at, table, counts[index]);
    else await readTable(client, at, table);
  }
}

async function countsOf(client: SqlClient, tables: readonly Table[]): Promise<string[] | undefined> {
  const each = tables.map(({ name }) => `(select count(*)::text from ${name})`);
  try {
    const [row] = await query<{ counts: string[] }>(client, `select array[${each.join(', ')}] as counts`);
    return row?.counts;
  } catch (error) {
    if (!findFailure(error)) throw error;
    return undefined;
  }
}

async function readTable(client: SqlClient, at: Database, table: Table): Promise<void> {
  at.run.signal.throwIfAborted();
  await attempt(at, table.name, async () => {
    const [row] = await query<{ n: string }>(client, `select count(*)::text as n from ${table.name}`);
    counted(at, table, row?.n);
  });
}

function counted({ database, run, total }: Database, { name, kind }: Table, rows: string | undefined): void {
  total.relations += 1;
  // What stands in a TOAST table are pieces of rows, a sequence is none, and the catalogue is not the user's data.
  if (kind !== 'S' && !/^(pg_toast|pg_catalog|information_schema)\./.test(name)) total.rows += Number(rows ?? 0);
  const counters = { relations: total.relations, rows: total.rows };
  run.progress({ phase: 'prove', note: `${database}: ${name}`, counters });
}
