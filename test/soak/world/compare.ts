import pg from 'pg';
import type { RestoreResult } from '../../../workflows/model/recovery.ts';
import type { ClusterState, TableState } from '../model/change.ts';
import { apply, HOME } from '../model/change.ts';
import type { Window } from '../model/model.ts';
import { wrongOrders } from '../model/orders.ts';
import { payloadSum, statementsOf } from '../model/sql.ts';
import type { World } from './world.ts';

const MOST_SHOWN = 20;

export interface Expected {
  commits: number;
  orders: Window;
  what: string;
}

interface Copy {
  port: number;
  /** Still in recovery: what was not written to WAL cannot be looked at, nor what is prepared. */
  isPaused: boolean;
  wrong: string[];
  tables: number;
  rows: number;
}

/** Compares every database, table, column, index and row of a recovered server with the model; fails with all that differs. */
export async function compareCopy(
  { model, orders, counts }: World,
  { open }: RestoreResult,
  { commits, orders: window, what }: Expected,
): Promise<{ tables: number; rows: number }> {
  const state = model.asOf(commits);
  const copy: Copy = { port: open.port, isPaused: open.state === 'paused', wrong: [], tables: 0, rows: 0 };
  await compareNames(copy, state);
  const locked = copy.isPaused ? lockedTables(state) : await finishPrepared(copy, state);
  for (const [database, tables] of state.databases)
    await withCopy(copy, database, (client) => compareDatabase(copy, { client, database, tables, locked }));
  const found = await withCopy(copy, HOME, (client) => client.query<{ id: number }>('select id from orders'));
  const ids = found.rows.map(({ id }) => id);
  const { before, after } = window;
  copy.wrong.push(...wrongOrders(ids, { must: before.acknowledged, may: after.started, refused: orders.refused }));
  if (copy.wrong.length > 0) {
    const told = copy.wrong.slice(0, MOST_SHOWN).join('\n  ');
    throw new Error(`${what} (commit ${commits}) differs from the model in ${copy.wrong.length} things:\n  ${told}`);
  }
  counts.restoresCompared += 1;
  counts.tablesCompared += copy.tables;
  counts.rowsCompared += copy.rows + ids.length;
  return { tables: copy.tables, rows: copy.rows + ids.length };
}

async function compareNames(copy: Copy, state: ClusterState): Promise<void> {
  await withCopy(copy, HOME, async (client) => {
    const databases = await client.query<{ name: string }>(
      'select datname as name from pg_database where not datistemplate',
    );
    same(copy, 'databases', { found: databases.rows.map(({ name }) => name), expected: [...state.databases.keys()] });
    if (copy.isPaused) return;
    const prepared = await client.query<{ name: string }>('select gid as name from pg_prepared_xacts');
    same(copy, 'prepared transactions', {
      found: prepared.rows.map(({ name }) => name),
      expected: [...state.prepared.keys()],
    });
  });
}

interface InDatabase {
  client: pg.Client;
  database: string;
  tables: ReadonlyMap<string, TableState>;
  /** As "database.table": nobody can read them. */
  locked: ReadonlySet<string>;
}

/** Until recovery has ended, the locks of what is prepared stand, and nobody can finish it. */
function lockedTables({ prepared }: ClusterState): Set<string> {
  const changes = [...prepared.values()].flatMap((each) => each.changes);
  return new Set(changes.flatMap((change) => ('table' in change ? [`${change.database}.${change.table}`] : [])));
}

/** What is prepared holds locks, and has to be whole: it is committed, in the copy and in what is expected of it. */
async function finishPrepared(copy: Copy, state: ClusterState): Promise<Set<string>> {
  if (copy.wrong.length > 0) return lockedTables(state);
  for (const [gid, { database }] of [...state.prepared]) {
    const change = { kind: 'commit-prepared', gid, database } as const;
    await withCopy(copy, database, (client) => client.query(statementsOf(change, 0).join('; ')));
    apply(state, change);
  }
  return new Set();
}

async function compareDatabase(copy: Copy, { client, database, tables, locked }: InDatabase): Promise<void> {
  const names = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  );
  const found = names.rows.map(({ name }) => name).filter((name) => database !== HOME || name !== 'orders');
  same(copy, `tables of ${database}`, { found, expected: [...tables.keys()] });
  for (const [name, table] of tables) {
    if (!found.includes(name) || locked.has(`${database}.${name}`)) continue;
    await compareTable(copy, client, { name, place: `${database}.${name}`, table });
  }
}

interface OneTable {
  name: string;
  place: string;
  table: TableState;
}

async function compareTable(copy: Copy, client: pg.Client, { name, place, table }: OneTable): Promise<void> {
  copy.tables += 1;
  const indexes = await client.query<{ name: string }>(
    `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = $1::regclass and i.indisvalid and not i.indisprimary`,
    [name],
  );
  same(copy, `indexes of ${place}`, { found: indexes.rows.map((row) => row.name), expected: [...table.indexes] });
  if (table.unlogged && copy.isPaused) return;
  // Computed where the rows are; what they must be is computed here, by another program.
  const extra = [...table.columns.keys()].map((column) => `'${column}', ${column}`).join(', ');
  const { rows } = await client.query<FoundRow>(
    `select id, version, md5(payload) as sum, jsonb_build_object(${extra}) as extra from ${name} order by id`,
  );
  copy.rows += rows.length;
  compareRows(copy, { name, place, table }, rows);
}

interface FoundRow {
  id: number;
  version: number;
  sum: string;
  extra: Record<string, number>;
}

function compareRows(copy: Copy, { place, table }: OneTable, rows: readonly FoundRow[]): void {
  // What is not in the WAL is empty after any recovery.
  const expected = table.unlogged ? new Map<number, number>() : table.rows;
  const found = new Set(rows.map(({ id }) => id));
  const missing = [...expected.keys()].filter((id) => !found.has(id));
  if (missing.length > 0) copy.wrong.push(`${place}: ${missing.length} rows are missing, first id ${missing[0]}`);
  const wrong = rows.flatMap((row) => wrongRow(row, { table, version: expected.get(row.id) }) ?? []);
  if (wrong.length > 0)
    copy.wrong.push(`${place}: ${wrong.length} rows of ${expected.size} are wrong, first ${wrong[0]}`);
}

function wrongRow(
  { id, version, sum, extra }: FoundRow,
  { table, version: expected }: { table: TableState; version: number | undefined },
): string | undefined {
  if (expected === undefined) return `id ${id} should not be there`;
  if (version !== expected) return `id ${id} has version ${version}, expected ${expected}`;
  if (sum !== payloadSum({ id, version, width: table.width })) return `id ${id} has another payload`;
  const column = [...table.columns].find(([name, value]) => extra[name] !== value);
  return column && `id ${id} has ${column[0]} ${extra[column[0]]}, expected ${column[1]}`;
}

function same(copy: Copy, what: string, { found, expected }: { found: string[]; expected: string[] }): void {
  const [have, want] = [found.sort().join(', '), expected.sort().join(', ')];
  if (have !== want) copy.wrong.push(`${what}: found ${have || 'none'}, expected ${want || 'none'}`);
}

async function withCopy<T>({ port }: Copy, database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  // Nobody else is there: whoever waits for a lock waits for ever.
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database, lock_timeout: 60_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
