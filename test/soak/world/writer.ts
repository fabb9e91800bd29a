import type pg from 'pg';
import type { TestPostgres } from '../../support/postgres.ts';
import type { Change, TableName } from '../model/change.ts';
import { HOME } from '../model/change.ts';
import type { Model, Moment, Window } from '../model/model.ts';
import type { Orders } from '../model/orders.ts';
import { statementsOf } from '../model/sql.ts';

const FENCE = `select pg_logical_emit_message(true, 'soak', 'fence')`;
const HERE = `select pg_current_wal_insert_lsn()::text as lsn,
  to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`;

export interface Writing {
  database: string;
  changes: readonly Change[];
  /** Undone before the commit: changes that nobody may ever see. */
  undone?: readonly Change[];
  /** Restore point to make behind it. */
  name?: string;
}

/** Writes one transaction after the other, and tells the model what was acknowledged. */
export class Writer {
  readonly #server: TestPostgres;
  readonly #model: Model;
  readonly #orders: Orders;
  readonly #preparedXids = new Map<string, string>();

  constructor(server: TestPostgres, model: Model, orders: Orders) {
    this.#server = server;
    this.#model = model;
    this.#orders = orders;
  }

  /** One transaction with all of it. */
  async write(writing: Writing): Promise<Moment> {
    return this.#with(writing.database, async (client) => {
      await client.query('begin');
      await this.#run(client, writing);
      const xid = await oneOf(client, 'select pg_current_xact_id()::text as it');
      const aroundCommit = await this.#around(() => client.query('commit'));
      this.#model.commit(writing.changes);
      return this.#mark(client, { xid, aroundCommit, name: writing.name });
    });
  }

  /** A transaction that is rolled back: to the model it never was. */
  async abandon({ database, changes }: Writing): Promise<void> {
    await this.#with(database, async (client) => {
      await client.query('begin');
      await this.#run(client, { database, changes });
      await client.query('rollback');
    });
  }

  /** The first half of a two-phase commit. */
  async prepare({ database, changes }: Writing, gid: string): Promise<Moment> {
    const change: Change = { kind: 'prepare', gid, database, changes };
    return this.#with(database, async (client) => {
      await client.query('begin');
      await this.#run(client, { database, changes });
      this.#preparedXids.set(gid, await oneOf(client, 'select pg_current_xact_id()::text as it'));
      return this.#alone(client, change);
    });
  }

  /** What cannot be inside of a transaction. */
  async single(change: Change & { database: string }): Promise<Moment> {
    const elsewhere = change.kind === 'create-database' || change.kind === 'drop-database';
    return this.#with(elsewhere ? HOME : change.database, async (client) => {
      // Files come and go before the commit of such a change: recovery to the moment before must find a commit to stop at.
      await client.query(FENCE);
      const isSecondHalf = change.kind === 'commit-prepared' || change.kind === 'rollback-prepared';
      return this.#alone(client, change, isSecondHalf ? this.#preparedXids.get(change.gid) : undefined);
    });
  }

  async #alone(client: pg.Client, change: Change, xid?: string): Promise<Moment> {
    const aroundCommit = await this.#around(async () => {
      for (const sql of statementsOf(change, 0)) await client.query(sql);
    });
    this.#model.commit([change]);
    return this.#mark(client, { xid, aroundCommit });
  }

  async #run(client: pg.Client, { changes, undone = [] }: Writing): Promise<void> {
    const widths = new Map<string, number>();
    const run = async (change: Change): Promise<void> => {
      if (change.kind === 'create-table') widths.set(change.table, change.width);
      for (const sql of statementsOf(change, this.#widthOf(change, widths))) await client.query(sql);
    };
    for (const change of changes) await run(change);
    if (undone.length === 0) return;
    await client.query('savepoint undone');
    for (const change of undone) await run(change);
    await client.query('rollback to savepoint undone');
  }

  #widthOf(change: Change, made: ReadonlyMap<string, number>): number {
    if (!('table' in change)) return 0;
    const { database, table }: TableName = change;
    return made.get(table) ?? this.#model.now.databases.get(database)?.get(table)?.width ?? 0;
  }

  async #mark(
    client: pg.Client,
    { xid, aroundCommit, name }: { xid: string | undefined; aroundCommit: Window; name?: string | undefined },
  ): Promise<Moment> {
    let here: { lsn: string; at: string } = { lsn: '', at: '' };
    const orders = await this.#around(async () => {
      [here = here] = (await client.query<{ lsn: string; at: string }>(HERE)).rows;
      if (name !== undefined) await client.query('select pg_create_restore_point($1)', [name]);
    });
    const names = { ...(xid === undefined ? {} : { xid }), ...(name === undefined ? {} : { name }) };
    return this.#model.mark({ ...here, ...names, orders, aroundCommit });
  }

  async #around(act: () => Promise<unknown>): Promise<Window> {
    const before = this.#orders.seen;
    await act();
    return { before, after: this.#orders.seen };
  }

  async #with<T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await this.#server.connect(database);
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}

async function oneOf(client: pg.Client, sql: string): Promise<string> {
  return (await client.query<{ it: string }>(sql)).rows[0]?.it ?? '';
}
