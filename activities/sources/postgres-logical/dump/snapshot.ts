import { failure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteLiteral, quoteName } from '../../../io/postgres/identifier.ts';
import { placeOf, sqlStateOf } from '../../../io/postgres/failures.ts';
import { addressOf } from '../../../io/postgres/connection.ts';
import type { LogicalOptions } from '../options.ts';
import { withReader } from '../../../io/postgres/logical/session.ts';
import type { Survey } from '../../../io/postgres/logical/survey.ts';

/** One moment of one database, held by a connection of ours for as many sessions as want to see it. */
export interface Snapshot {
  /** For pg_dump --snapshot and SET TRANSACTION SNAPSHOT. */
  id: string;
  holder: SqlClient;
  /** Also fires when the holder's connection is lost: what is read after that is of no moment at all. */
  signal: AbortSignal;
}

const READ_ONLY = 'begin transaction isolation level repeatable read read only';

export function withSnapshot<T>(
  options: LogicalOptions,
  use: { database: string; signal: AbortSignal },
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const { connection } = options;
  return withReader(connection, use, async (holder) => {
    const lost = new AbortController();
    holder.once('end', () => lost.abort(lostFailure(options, use.database)));
    await query(holder, `set lock_timeout = ${options.dump.lockTimeout}`);
    await query(holder, READ_ONLY);
    const [row] = await query<{ id: string }>(holder, 'select pg_export_snapshot() as id');
    const signal = AbortSignal.any([use.signal, lost.signal]);
    const result = await work({ id: row?.id ?? '', holder, signal });
    // It ends with an error when the snapshot did not last until here.
    await query(holder, 'commit');
    return result;
  });
}

/** undefined_object, and before PostgreSQL 17 invalid_parameter_value. */
const NO_SNAPSHOT: ReadonlySet<string> = new Set(['42704', '22023']);

/** A session that sees what the snapshot shows. */
export function withSight<T>(
  options: LogicalOptions,
  { database, snapshot }: { database: string; snapshot: Snapshot },
  work: (client: SqlClient) => Promise<T>,
): Promise<T> {
  return withReader(options.connection, { database, signal: snapshot.signal }, async (client) => {
    await query(client, READ_ONLY);
    await query(client, `set transaction snapshot ${quoteLiteral(snapshot.id)}`).catch((error: unknown) => {
      // Who exported it is gone, and we have not heard of that yet.
      throw NO_SNAPSHOT.has(sqlStateOf(error) ?? '') ? lostFailure(options, database) : error;
    });
    return work(client);
  });
}

const NAMES_AT_ONCE = 200;

/** From here on nobody drops, truncates or rewrites a table; who lacks a right on one hears which. */
export async function lockTables({ holder }: Snapshot, tables: Survey['tables']): Promise<void> {
  for (let at = 0; at < tables.length; at += NAMES_AT_ONCE) {
    const names = tables.slice(at, at + NAMES_AT_ONCE).map(({ schema, name }) => `only ${quoteName(schema, name)}`);
    await query(holder, `lock table ${names.join(', ')} in access share mode`);
  }
}

function lostFailure({ connection }: LogicalOptions, database: string): Error {
  const place = placeOf(addressOf(connection, { database }));
  return failure('Unavailable', `postgres ${place}: the connection that holds the snapshot was lost`, {
    place,
    expected: 'a connection for as long as the dump takes',
    found: 'connection closed',
    hint: 'it is tried again by itself; see the server log',
  });
}
