import type { ChosenServer } from '../../../io/postgres/choose-server.ts';
import { chooseServer, wishOf } from '../../../io/postgres/choose-server.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupFacts } from '../../source.ts';
import type { OneServer, PostgresOptions } from '../options.ts';
import { readSettings, refuseSettings } from '../settings.ts';
import { takeIncrement } from './increment.ts';
import { findDataDirectory } from './local/data-directory.ts';
import { readBackup } from './local/index.ts';
import type { BackupUse } from './order.ts';
import { streamBackup } from './streamed.ts';

/**
 * Takes a base backup of a running cluster into `out`. The files of a full one are read here when this host has them
 * (files.read), or sent by the server. What changed since another point the server always sends; when it does not, a full
 * one is taken that says why. Consistent only with the WAL from start to stop. Failures: those of the connection;
 * Precondition (settings, promotion meanwhile), Integrity (damaged pages, a file that is not what the server read), and
 * whatever the sink fails with. A repeat starts over.
 */
export async function takeBackup(given: PostgresOptions, use: BackupUse): Promise<BackupFacts> {
  const { run } = use;
  const want = wishOf(given.connection, use.backup.from);
  const options = atServer(given, await chooseServer(given.connection, { signal: run.signal, want }), run);
  const directory = await withConnection(options.connection, { signal: run.signal }, async (sql) => {
    refuseSettings(await readSettings(sql));
    return findDataDirectory(options, sql, run);
  });
  const increment = use.backup.since ? await takeIncrement(options, use) : undefined;
  if (increment && 'facts' in increment) return increment.facts;
  const facts = directory ? readBackup(options, { ...use, directory }) : streamBackup(options, use);
  return { ...(await facts), ...(increment ? { fallback: increment.refused } : {}) };
}

/** All connections of a backup go to one server. */
function atServer(options: PostgresOptions, { connection, place, role }: ChosenServer, run: Run): OneServer {
  run.progress({ phase: 'connect', note: role === undefined ? place : `from ${place}, the ${role}` });
  run.log.info('backup from', { place, role: role ?? 'not asked' });
  return { ...options, connection };
}
