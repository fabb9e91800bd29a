import { failure, failureTypeOf, findFailure } from '../../../../workflows/model/failure.ts';
import type { TakenFrom } from '../../../../workflows/model/manifest.ts';
import type { ChosenServer, SeenServer } from '../../../io/postgres/choose-server.ts';
import { chooseServer, lookAtServers, wishOf } from '../../../io/postgres/choose-server.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupOptions } from '../../source.ts';
import type { OneServer, PostgresOptions } from '../options.ts';
import { nearnessOf } from './standby.ts';

/** The server that a backup is taken from: all of its connections go there. */
export interface BackupServer {
  options: OneServer;
  /** Absent where nobody had to ask what the server is. */
  takenFrom?: TakenFrom;
}

interface Use {
  backup: BackupOptions;
  run: Run;
}

/**
 * The server that fits the wish of the order, and is near enough to the primary when it is a standby. Where a standby is only
 * preferred the primary takes its place, and the reason is kept. Failures: those of chooseServer; Precondition, with the lag;
 * Unavailable for a primary that was left, while the one that followed it is not seen.
 */
export async function chooseBackupServer(given: PostgresOptions, use: Use): Promise<BackupServer> {
  const { backup, run } = use;
  const want = wishOf(given.connection, backup.from);
  const chosen = await chooseServer(given.connection, { signal: run.signal, want });
  if (chosen.role === 'standby' && want !== undefined) {
    const { reason, unseen } = await nearnessOf(given, chosen as SeenServer, use);
    const seen = unseen ? { unseen: chosen.others ?? 'no other server is listed' } : {};
    if (reason === undefined) return serverOf(given, chosen, seen);
    if (want === 'standby') throw tooFar(chosen, reason);
    run.log.warn('the standby is passed over', { reason });
    const primary = await chooseServer(given.connection, { signal: run.signal, want: 'primary' });
    await refuseLeft(primary, backup);
    return serverOf(given, primary, { instead: reason });
  }
  await refuseLeft(chosen, backup);
  return serverOf(given, chosen, want === 'prefer-standby' ? { instead: chosen.others ?? 'there is none' } : {});
}

/** The WAL of a primary that was left is never shipped: a backup of it could not become a point. */
async function refuseLeft(chosen: ChosenServer, { newestTimeline }: BackupOptions): Promise<void> {
  const { place, role, systemId, timeline, others } = chosen;
  if (role !== 'primary' || systemId === undefined || timeline === undefined) return;
  const newest = await newestTimeline?.(systemId);
  if (newest === undefined || newest <= timeline) return;
  throw failure('Unavailable', `primary ${place} is on timeline ${timeline}, the vault has WAL of timeline ${newest}`, {
    place,
    expected: `a primary on timeline ${newest} or newer`,
    found: [`${place} is a primary on timeline ${timeline}`, ...(others === undefined ? [] : [others])].join('; '),
    hint: 'it is tried again until the new primary answers; stop the old one, or make it a standby with pg_rewind',
  });
}

function serverOf(
  options: PostgresOptions,
  chosen: ChosenServer,
  why: Pick<TakenFrom, 'instead' | 'unseen'>,
): BackupServer {
  const { connection, place, role } = chosen;
  return {
    options: { ...options, connection },
    ...(role === undefined ? {} : { takenFrom: { server: place, role, ...why } }),
  };
}

function tooFar({ place }: ChosenServer, reason: string): Error {
  return failure('Precondition', `no backup from the standby: ${reason}`, {
    place,
    expected: 'a standby that has replayed what the primary had written (backup.standbyWait)',
    found: reason,
    hint: 'see pg_stat_replication on the primary and pg_stat_wal_receiver on the standby; raise backup.standbyWait, or set backup.from: prefer-standby',
  });
}

/**
 * What a backup failed with, once more with the reason that the server itself cannot give: its standby was promoted meanwhile,
 * so that nothing of the backup is of use (manual 25.3.4.1). Unavailable: the next attempt looks for a server again, and
 * takes another standby or, where it may, the primary. Undefined for any other failure.
 */
export async function promotedMeanwhile(
  { options, takenFrom }: BackupServer,
  run: Run,
  error: unknown,
): Promise<Error | undefined> {
  if (takenFrom?.role !== 'standby' || failureTypeOf(error) === 'Unavailable' || run.signal.aborted) return undefined;
  const [now] = await lookAtServers(options.connection, run);
  if (!now || !('role' in now) || now.role === 'standby') return undefined;
  return failure('Unavailable', `standby ${takenFrom.server} was promoted during the backup`, {
    place: takenFrom.server,
    expected: 'a standby until the end of the backup',
    found: `the primary, on timeline ${now.timeline}: ${findFailure(error)?.message ?? String(error)}`,
    hint: 'nothing of this backup is kept; it is tried again with the servers as they are then',
  });
}
