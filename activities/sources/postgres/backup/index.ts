import { withConnection } from '../../../io/postgres/connection.ts';
import type { BackupFacts } from '../../source.ts';
import type { OneServer, PostgresOptions } from '../options.ts';
import { readSettings, refuseSettings } from '../settings.ts';
import { chooseBackupServer, promotedMeanwhile } from './choose.ts';
import { takeIncrement } from './increment.ts';
import { findDataDirectory } from './local/data-directory.ts';
import type { LocalUse } from './local/index.ts';
import { readBackup } from './local/index.ts';
import type { BackupUse } from './order.ts';
import { streamBackup } from './streamed.ts';
import type { Unable } from './why-full.ts';
import { whyNoIncrements } from './why-full.ts';

/**
 * Takes a base backup of a running cluster into `out`. The files of a full one are read here when this host has them
 * (files.read), or sent by the server. What changed since another point the server sends, or is found here
 * by comparing pages where it cannot; when neither can be, a full one is taken that says why. Of several servers one is chosen (chooseBackupServer). Consistent only with the WAL from start to stop. Failures: those of the connection;
 * Precondition (settings, promotion meanwhile), Integrity (damaged pages, a file that is not what the server read), and
 * whatever the sink fails with. A repeat starts over.
 */
export async function takeBackup(given: PostgresOptions, use: BackupUse): Promise<BackupFacts> {
  const server = await chooseBackupServer(given, use);
  const { takenFrom } = server;
  const note = takenFrom ? `from ${takenFrom.server}, the ${takenFrom.role}` : server.options.connection.host;
  use.run.progress({ phase: 'connect', note });
  try {
    const facts = await takeFrom(server.options, use);
    return { ...facts, ...(takenFrom ? { takenFrom } : {}) };
  } catch (error) {
    throw (await promotedMeanwhile(server, use.run, error)) ?? error;
  }
}

async function takeFrom(options: OneServer, use: BackupUse): Promise<BackupFacts> {
  const { run, backup } = use;
  const { since } = backup;
  const { directory, unable } = await withConnection(options.connection, { signal: run.signal }, async (sql) => {
    refuseSettings(await readSettings(sql));
    return { directory: await findDataDirectory(options, sql, run), unable: await whyNoIncrements(sql) };
  });
  const sent = since && !(unable && directory) ? await takeIncrement(options, use) : undefined;
  if (sent && 'facts' in sent) return sent.facts;
  const sums = sumsFor(backup, unable);
  const facts = directory ? readBackup(options, { ...use, directory, ...sums }) : streamBackup(options, use);
  return { ...(await facts), ...(sent ? { fallback: sent.refused } : {}) };
}

/** What the server cannot tell, the sums of pages that a backup keeps do. */
function sumsFor({ since, increments }: BackupUse['backup'], unable: Unable | undefined): Pick<LocalUse, 'sums'> {
  if (!unable || (!since && !increments)) return {};
  return { sums: { unable, ...(since ? { since } : {}) } };
}
