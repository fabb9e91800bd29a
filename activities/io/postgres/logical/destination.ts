import type { ConnectMode, SqlClient } from '../connection.ts';
import { query, withConnection } from '../connection.ts';
import type { ServerOptions } from '../options.ts';

/** How sessions of a restore reach the server that they restore into. */
export interface Destination {
  connection: ServerOptions;
  settings: Record<string, string>;
}

export async function reachServer(connection: ServerOptions, signal: AbortSignal): Promise<Destination> {
  const who = await withConnection(connection, { signal }, async (client) => {
    const [row] = await query<{ major: number; superuser: boolean }>(
      client,
      `select current_setting('server_version_num')::int / 10000 as major,
              (select rolsuper from pg_roles where rolname = current_user) as superuser`,
    );
    return row ?? { major: 0, superuser: false };
  });
  return { connection, settings: sessionSettings(who) };
}

/**
 * What roles and databases may have set would keep a restore from its work; login triggers would run at each connection,
 * and only a superuser may go without.
 */
function sessionSettings({ major, superuser }: { major: number; superuser: boolean }): Record<string, string> {
  return {
    ...{ default_transaction_read_only: 'off', statement_timeout: '0', idle_in_transaction_session_timeout: '0' },
    ...(major >= 17 ? { transaction_timeout: '0' } : {}),
    ...(major >= 17 && superuser ? { event_triggers: 'off' } : {}),
  };
}

/** A session at the destination; by default in the database that is always there. */
export function atDestination<T>(
  { connection, settings }: Destination,
  mode: ConnectMode,
  work: (client: SqlClient) => Promise<T>,
): Promise<T> {
  return withConnection(connection, { statementTimeoutMs: 0, settings, ...mode }, work);
}
