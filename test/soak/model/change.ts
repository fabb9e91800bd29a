/**
 * What a write changes, as plain data with two readers: `applied` says what must be there afterwards, `statementsOf`
 * (sql.ts) makes a server do it. Rows have an id and a version, from which all that stands in them can be computed.
 */
export type Change =
  | { kind: 'create-database' | 'drop-database'; database: string }
  | (TableName & { kind: 'create-table'; width: number; unlogged: boolean })
  | (TableName & { kind: 'drop-table' | 'truncate' | 'rewrite' })
  | (TableName & { kind: 'insert'; from: number; count: number })
  | (TableName & Pattern & { kind: 'update' | 'delete' })
  | (TableName & { kind: 'add-column'; column: string; value: number })
  | (TableName & { kind: 'add-index'; index: string })
  | { kind: 'prepare'; gid: string; database: string; changes: readonly Change[] }
  | { kind: 'commit-prepared' | 'rollback-prepared'; gid: string; database: string };

export interface TableName {
  database: string;
  table: string;
}

/** Rows whose id leaves `rest` when divided by `modulo`. */
export interface Pattern {
  modulo: number;
  rest: number;
}

export interface TableState {
  /** Number of checksums in a row's payload, 32 letters each. */
  width: number;
  unlogged: boolean;
  /** Columns that came later, and their value in every row. */
  columns: Map<string, number>;
  indexes: Set<string>;
  /** Version by id. */
  rows: Map<number, number>;
  nextId: number;
}

export interface Prepared {
  database: string;
  changes: readonly Change[];
}

export interface ClusterState {
  /** Tables by name, by database. */
  databases: Map<string, Map<string, TableState>>;
  prepared: Map<string, Prepared>;
}

/** The database that is always there. */
export const HOME = 'postgres';

export function emptyCluster(): ClusterState {
  return { databases: new Map([[HOME, new Map()]]), prepared: new Map() };
}

/** Changes the state; a change that does not fit it is a mistake of whoever drew it, and throws. */
export function apply(state: ClusterState, change: Change): void {
  switch (change.kind) {
    case 'create-database':
      state.databases.set(change.database, new Map());
      return;
    case 'drop-database':
      state.databases.delete(change.database);
      return;
    case 'prepare':
      state.prepared.set(change.gid, { database: change.database, changes: change.changes });
      return;
    case 'commit-prepared':
    case 'rollback-prepared':
      finishPrepared(state, change);
      return;
    case 'create-table': {
      const { width, unlogged } = change;
      const table = { width, unlogged, columns: new Map(), indexes: new Set<string>(), rows: new Map(), nextId: 1 };
      tablesOf(state, change.database).set(change.table, table);
      return;
    }
    case 'drop-table':
      tablesOf(state, change.database).delete(change.table);
      return;
    default:
      changeTable(tableOf(state, change), change);
  }
}

type TableChange = Exclude<
  Change,
  { kind: `${string}database` | 'prepare' | `${string}prepared` | 'create-table' | 'drop-table' }
>;

function changeTable(table: TableState, change: TableChange): void {
  switch (change.kind) {
    case 'truncate':
      table.rows.clear();
      return;
    case 'insert':
      for (let id = change.from; id < change.from + change.count; id++) table.rows.set(id, 1);
      table.nextId = Math.max(table.nextId, change.from + change.count);
      return;
    case 'update':
      for (const id of matching(table, change)) table.rows.set(id, (table.rows.get(id) ?? 0) + 1);
      return;
    case 'delete':
      for (const id of matching(table, change)) table.rows.delete(id);
      return;
    case 'add-column':
      table.columns.set(change.column, change.value);
      return;
    case 'add-index':
      table.indexes.add(change.index);
      return;
    case 'rewrite':
  }
}

function finishPrepared(state: ClusterState, change: Change & { gid: string }): void {
  const prepared = state.prepared.get(change.gid);
  if (!prepared) throw new RangeError(`nothing is prepared as ${change.gid}`);
  state.prepared.delete(change.gid);
  if (change.kind === 'commit-prepared') for (const each of prepared.changes) apply(state, each);
}

function matching({ rows }: TableState, { modulo, rest }: Pattern): number[] {
  return [...rows.keys()].filter((id) => id % modulo === rest);
}

function tablesOf(state: ClusterState, database: string): Map<string, TableState> {
  const tables = state.databases.get(database);
  if (!tables) throw new RangeError(`the model has no database ${database}`);
  return tables;
}

export function tableOf(state: ClusterState, { database, table }: TableName): TableState {
  const found = tablesOf(state, database).get(table);
  if (!found) throw new RangeError(`the model has no table ${table} in ${database}`);
  return found;
}
