import { failure, isFailure } from '../../../workflows/model/failure.ts';
import type { Lsn } from '../../../workflows/model/lsn.ts';
import type { Run } from '../run.ts';
import type { ServerOptions } from './options.ts';
import { connect, query, withConnection } from './connection.ts';
import type { CommandHandlers, RawRow } from './replication-connection.ts';
import { ReplicationConnection } from './replication-connection.ts';

export { ReplicationConnection } from './replication-connection.ts';

export type Row = Record<string, string | null>;

/**
 * Opens a walsender connection; the run's signal closes it at any time. The caller closes it (`await using`).
 * Failures: those of `connect`; Busy names max_wal_senders with the numbers of the moment.
 */
export async function connectReplication(
  options: ServerOptions,
  run: Pick<Run, 'signal' | 'clock'>,
): Promise<ReplicationConnection> {
  try {
    return new ReplicationConnection(await connect(options, { replication: true, signal: run.signal }), run);
  } catch (error) {
    throw isFailure(error, 'Busy') ? await sendersUsedUp(options, error) : error;
  }
}

/** The refusal tells only that the limit was hit; an SQL session tells who sits on it. */
async function sendersUsedUp(options: ServerOptions, refusal: unknown): Promise<unknown> {
  try {
    const [row] = await withConnection(options, {}, (client) =>
      query<{ used: string; most: string }>(
        client,
        `select count(*)::text as used, current_setting('max_wal_senders') as most from pg_stat_replication`,
      ),
    );
    if (!row || Number(row.used) < Number(row.most)) return refusal;
    const place = `${options.host}:${options.port}`;
    return failure(
      'Busy',
      `postgres ${place} has no walsender left: ${row.used} of max_wal_senders = ${row.most} in use`,
      {
        place,
        expected: 'a free walsender (max_wal_senders)',
        found: `${row.used} of ${row.most} in use`,
        hint: 'raise max_wal_senders and restart the server, or end one: select * from pg_stat_replication',
        // The innermost failure is what people read: behind this one stands the reason, not the failure made of it.
        cause: (refusal as Error).cause,
      },
    );
  } catch {
    return refusal;
  }
}

/** One command's row sets as text. */
export async function command(
  connection: ReplicationConnection,
  text: string,
  handlers: CommandHandlers = {},
): Promise<Row[][]> {
  return (await connection.run(text, handlers)).map((rows) => rows.map(asText));
}

export function asText(row: RawRow): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value?.toString('utf8') ?? null]));
}

/** A quoted string of the replication grammar. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export interface SystemIdentity {
  systemId: string;
  timeline: number;
  /** Flushed (primary) or replayed (standby) position. */
  xlogpos: Lsn;
}

export async function identifySystem(connection: ReplicationConnection): Promise<SystemIdentity> {
  const row = await oneRow(connection, 'IDENTIFY_SYSTEM');
  return { systemId: row['systemid'] ?? '', timeline: Number(row['timeline']), xlogpos: row['xlogpos'] ?? '' };
}

/** SHOW works on a walsender too. */
export async function showSetting(connection: ReplicationConnection, name: string): Promise<string> {
  return (await oneRow(connection, `SHOW ${name}`))[name] ?? '';
}

/** Bytes of a timeline history file as the server has it; NotFound when it has none (SQLSTATE 58P01). */
export async function timelineHistory(connection: ReplicationConnection, timeline: number): Promise<Buffer> {
  const row = (await connection.run(`TIMELINE_HISTORY ${timeline}`))[0]?.[0];
  return row?.['content'] ?? Buffer.alloc(0);
}

/** A physical slot that keeps WAL from now on. Precondition (SQLSTATE 42710) when the name is taken. */
export async function createSlot(connection: ReplicationConnection, slot: string): Promise<void> {
  await connection.run(`CREATE_REPLICATION_SLOT ${identifier(slot)} PHYSICAL (RESERVE_WAL)`);
}

/** Undefined when there is no slot of that name; restartLsn is absent while the slot keeps no WAL. */
export async function readSlot(
  connection: ReplicationConnection,
  slot: string,
): Promise<{ restartLsn?: Lsn; restartTimeline?: number } | undefined> {
  const row = await oneRow(connection, `READ_REPLICATION_SLOT ${identifier(slot)}`);
  if (row['slot_type'] === null) return undefined;
  const { restart_lsn: lsn, restart_tli: timeline } = row as { restart_lsn: string | null; restart_tli: string | null };
  return {
    ...(lsn === null ? {} : { restartLsn: lsn }),
    ...(timeline === null ? {} : { restartTimeline: Number(timeline) }),
  };
}

/** NotFound when there is none, Busy while it is in use. */
export async function dropSlot(connection: ReplicationConnection, slot: string): Promise<void> {
  await connection.run(`DROP_REPLICATION_SLOT ${identifier(slot)}`);
}

async function oneRow(connection: ReplicationConnection, text: string): Promise<Row> {
  const row = (await command(connection, text))[0]?.[0];
  if (!row) throw failure('Bug', `${text} gave no row`);
  return row;
}
