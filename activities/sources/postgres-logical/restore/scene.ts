import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { ConnectMode, SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import { findUser } from '../../../io/postgres/host.ts';
import type { ServerOptions } from '../../../io/postgres/options.ts';
import { findPrograms } from '../../../io/postgres/programs.ts';
import type { Run } from '../../../io/run.ts';
import type { RunAs } from '../../../io/run-command.ts';
import type { LogicalOptions } from '../options.ts';
import { destinationOf, sessionSettings } from './destination.ts';

/** What the steps of a restore share. */
export interface Restore {
  plan: RecoveryPlan;
  options: LogicalOptions;
  run: Run;
  /** Folder of PostgreSQL's programs on this host. */
  folder: string;
  /** Set when we are root and the cluster is our own: who runs it and owns its files. */
  as?: RunAs;
}

/** Unsupported when this host lacks programs that can read the dump, or run its like. */
export async function restoreOf(plan: RecoveryPlan, options: LogicalOptions, run: Run): Promise<Restore> {
  const { toolMajor = 0, into } = plan.dump ?? {};
  const serverMajor = Math.floor(plan.base.serverVersion / 10_000);
  const { folder } = await findPrograms({
    programs: into ? ['pg_restore'] : ['pg_restore', 'postgres', 'initdb', 'psql'],
    major: into ? toolMajor : Math.max(toolMajor, serverMajor),
    folder: options.restore.binaries,
    setting: 'restore.binaries',
    package: into ? 'postgresql-client' : 'postgresql',
  });
  const as = into ? undefined : await findUser(options.restore.runAs);
  return { plan, options, run, folder, ...(as ? { as } : {}) };
}

/** How sessions of this restore reach their server. */
export interface Destination {
  connection: ServerOptions;
  settings: Record<string, string>;
}

export async function reach({ plan, options, run }: Restore): Promise<Destination> {
  const connection = destinationOf(plan, options);
  const who = await withConnection(connection, { signal: run.signal }, async (client) => {
    const [row] = await query<{ major: number; superuser: boolean }>(
      client,
      `select current_setting('server_version_num')::int / 10000 as major,
              (select rolsuper from pg_roles where rolname = current_user) as superuser`,
    );
    return row ?? { major: 0, superuser: false };
  });
  return { connection, settings: sessionSettings(who) };
}

/** A session at the destination; by default in the database that is always there. */
export function atDestination<T>(
  { connection, settings }: Destination,
  mode: ConnectMode,
  work: (client: SqlClient) => Promise<T>,
): Promise<T> {
  return withConnection(connection, { statementTimeoutMs: 0, settings, ...mode }, work);
}
