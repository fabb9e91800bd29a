import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn } from '../../../../workflows/model/lsn.ts';
import { rangeHolding, rangesOf } from '../../../../workflows/model/wal-coverage.ts';
import { chooseServer, wishOf } from '../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { LogShipping, WalVault } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import type { Slot } from './slot.ts';
import { busySlot, dropSlot, readSlot } from './slot.ts';

interface Dropping {
  options: PostgresOptions;
  vault: WalVault;
  run: Run;
}

/** Drops a slot that nobody reads, once another one keeps what the vault lacks. */
export async function dropUnread(
  { slot, from, others }: Parameters<LogShipping['dropSlot']>[1],
  { options, vault, run }: Dropping,
): Promise<'dropped' | 'absent'> {
  const { signal } = run;
  const { connection } = await chooseServer(options.connection, { signal, want: wishOf(options.connection, from) });
  return withConnection(connection, { signal }, async (sql) => {
    const found = await readSlot(sql, slot);
    if (!found) return 'absent';
    if (found.activePid !== undefined) throw busySlot(slot, found.activePid);
    if (others.length > 0) await checkOthers(sql, { slot: found, others, vault });
    await dropSlot(sql, slot);
    return 'dropped';
  });
}

interface Question {
  slot: Slot;
  others: readonly string[];
  vault: WalVault;
}

/** One that keeps WAL from later on, made anew after the WAL was written, would leave a hole that this one does not have. */
async function checkOthers(sql: SqlClient, { slot, others, vault }: Question): Promise<void> {
  // Before the vault is asked: a stream that goes on lets go of what the vault has meanwhile.
  const found = new Map<string, Slot | undefined>();
  for (const name of others) found.set(name, await readSlot(sql, name));
  const needed = await neededFrom(sql, slot, vault);
  const kept: string[] = [];
  for (const [name, other] of found) {
    if (other?.restartLsn === undefined || other.walStatus === 'lost') continue;
    if (needed === undefined || compareLsn(other.restartLsn, needed) <= 0) return;
    kept.push(`${name} from ${other.restartLsn} on`);
  }
  const expected = needed === undefined ? 'keeps WAL' : `keeps WAL from ${needed} on`;
  throw failure(
    'Busy',
    `replication slot ${slot.name} is the only one that keeps what the vault lacks of this source`,
    {
      place: slot.name,
      expected: `one of ${others.join(', ')} that ${expected}`,
      found: kept.join(', ') || 'none',
      hint: 'lifeboat apply starts the WAL stream, which brings what is missing; until then the slot stays',
      retryAfterMs: 10_000,
    },
  );
}

/** Where the vault ends, of what it has in one piece with what the slot keeps; undefined for a slot that keeps nothing any more. */
async function neededFrom(sql: SqlClient, slot: Slot, vault: WalVault): Promise<Lsn | undefined> {
  const { restartLsn } = slot;
  if (restartLsn === undefined || slot.walStatus === 'lost') return undefined;
  const [row] = await query<{ id: string }>(sql, 'select system_identifier::text as id from pg_control_system()');
  const ranges = rangesOf(await vault.list({ systemId: row?.id ?? '' }));
  const [oldest] = ranges;
  // What retention has removed nobody lacks; newer timelines go on where an older one was left.
  let needed = oldest && compareLsn(restartLsn, oldest.startLsn) < 0 ? oldest.startLsn : restartLsn;
  for (const range of ranges)
    if (rangeHolding([range], range.timeline, { from: needed, to: needed })) needed = range.endLsn;
  return needed;
}
