import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query, queryOne, serverSchema, withConnection } from '../io/postgres/connection.ts';
import { durationOption } from '../io/option-types.ts';
import type { Answer, CheckUse } from './service-check.ts';
import { defineServiceCheck } from './service-check.ts';

const { user, database, password, tls, allowNewerServer } = serverSchema.shape;

const schema = z.strictObject({
  ...{ user, database, password, tls, allowNewerServer },
  /** Where clients come by, a pooler or a name; absent: the server itself. */
  host: serverSchema.shape.host.optional(),
  port: serverSchema.shape.port.optional(),
  /** One statement, whose first value has to be true; absent: something is written and read back. */
  query: z.string().min(1).max(10_000).optional(),
  /** For the connection, and for each statement. */
  timeout: durationOption.prefault('5s'),
});

type Options = z.infer<typeof schema>;

/** As a client does it, a pooler in between or not: no setting is sent at the start, and all is one transaction. */
export const sqlCheck = defineServiceCheck<Options>({
  kind: 'sql',
  schema,
  summary: 'logs in, writes and reads back in one transaction that leaves nothing; or one `query` that answers true',
  asks: ({ host, port }) => (host === undefined ? undefined : `${host}:${port ?? 5432}`),
  ask,
});

async function ask(options: Options, { at, run }: CheckUse): Promise<Answer> {
  const { timeout, query: statement, host, port, ...how } = options;
  const place = host === undefined ? { host: at.host, port: at.port } : { host, port: port ?? 5432 };
  const server = { ...how, ...place, connectTimeout: timeout };
  const mode = { pooler: true, statementTimeoutMs: timeout, signal: run.signal };
  const startedMs = run.clock.nowMs();
  const answer = await withConnection(server, mode, (sql) =>
    statement === undefined ? writeAndRead(sql) : askOne(sql, statement),
  );
  return answer.ok ? { ...answer, detail: `${run.clock.nowMs() - startedMs} ms` } : answer;
}

/**
 * A table that goes with the transaction needs no right but TEMPORARY, which everybody has by default; the message in the WAL makes
 * its commit wait for the disk, and for standbys, as that of any client does.
 */
async function writeAndRead(sql: SqlClient): Promise<Answer> {
  const written = randomUUID();
  // Not "read write": where clients can only read by default, they cannot write.
  await query(sql, 'begin');
  await query(sql, 'create temporary table lifeboat_check (written text) on commit drop');
  await query(sql, 'insert into pg_temp.lifeboat_check values ($1)', [written]);
  const [row] = await query<{ written: string }>(sql, 'select written from pg_temp.lifeboat_check');
  await query(sql, `select pg_catalog.pg_logical_emit_message(true, 'lifeboat', 'check')`);
  await query(sql, 'commit');
  const ok = row?.written === written;
  return { ok, expected: 'written and read back', found: ok ? 'written and read back' : 'something else was read' };
}

async function askOne(sql: SqlClient, statement: string): Promise<Answer> {
  const [row] = await queryOne<Record<string, unknown>>(sql, statement);
  const [value] = Object.values(row ?? {});
  const found = row === undefined ? 'no row' : value === null ? 'null' : String(value).slice(0, 100);
  return { ok: value === true, expected: 'true', found };
}
