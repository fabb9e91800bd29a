import { failure } from '../../../../workflows/model/failure.ts';
import { chooseServer, wishOf } from '../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { LogShipping } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { busySlot, dropSlot, readSlot } from './slot.ts';

/** Drops a slot that nobody reads, once another one keeps what comes: what the vault lacks still is on the server. */
export async function dropUnread(
  { slot, from, others }: Parameters<LogShipping['dropSlot']>[0],
  { options, run }: { options: PostgresOptions; run: Run },
): Promise<'dropped' | 'absent'> {
  const { signal } = run;
  const { connection } = await chooseServer(options.connection, { signal, want: wishOf(options.connection, from) });
  return withConnection(connection, { signal }, async (sql) => {
    const found = await readSlot(sql, slot);
    if (!found) return 'absent';
    if (found.activePid !== undefined) throw busySlot(slot, found.activePid);
    await checkOthers(sql, slot, others);
    await dropSlot(sql, slot);
    return 'dropped';
  });
}

async function checkOthers(sql: SqlClient, slot: string, others: readonly string[]): Promise<void> {
  if (others.length === 0) return;
  for (const name of others) {
    const other = await readSlot(sql, name);
    if (other?.restartLsn !== undefined && other.walStatus !== 'lost') return;
  }
  throw failure('Busy', `replication slot ${slot} is the only one that keeps WAL of this source`, {
    place: slot,
    expected: `one of ${others.join(', ')} that keeps WAL`,
    found: 'none',
    hint: 'lifeboat apply starts the WAL stream, which makes it; until then the slot stays',
    retryAfterMs: 10_000,
  });
}
