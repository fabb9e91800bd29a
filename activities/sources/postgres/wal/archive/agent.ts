import { failure, findFailure, isFailure, isRetryable } from '../../../../../workflows/model/failure.ts';
import { holeOf } from '../../../../../workflows/model/wal-hole.ts';
import { exclusively } from '../../../../io/exclusive.ts';
import { chooseServer, wishOf } from '../../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../../io/postgres/connection.ts';
import type { Run } from '../../../../io/run.ts';
import type { ArchiveOptions, ShipOptions, WalVault } from '../../../source.ts';
import { readIdentity } from '../../identity.ts';
import type { PostgresOptions } from '../../options.ts';
import { Patience } from '../patience.ts';
import { archiverTrouble, isArchiverFailing } from './archiver.ts';
import { listen } from './listener.ts';
import { Origin, readPlace } from './origin.ts';
import { Pushes } from './pushes.ts';
import type { Refusals } from './refusals.ts';
import { Failing, refusalsAt } from './refusals.ts';

const LOOK_MS = 15_000;

export interface ArchiveUse {
  options: PostgresOptions;
  ship: ShipOptions & { archive: ArchiveOptions };
  vault: WalVault;
  run: Run;
}

type Asking = Pick<ArchiveUse, 'options' | 'ship' | 'run'>;

/**
 * Takes the files that PostgreSQL's archiver hands over on this host until the signal fires. What is not the WAL of this
 * cluster, or is not what the vault has, is refused, and ends the attempt the first time: people must hear of it.
 */
export async function receiveArchive(use: ArchiveUse): Promise<{ files: number }> {
  const { ship, run, vault } = use;
  const { socket, socketMode } = ship.archive;
  return exclusively(socket, run, async () => {
    const identity = await withServer(use, readIdentity);
    const origin = new Origin(() => withServer(use, readPlace));
    const pushes = new Pushes({ identity, origin, vault, run, passHole: ship.passHole });
    const refusals = refusalsAt(socket);
    const patience = new Patience();
    const counts = { files: 0 };
    let fail!: (error: unknown) => void;
    const broken = new Promise<never>((_resolve, reject) => (fail = reject));
    broken.catch(() => undefined);
    const push = async (path: string): Promise<void> => {
      try {
        await pushes.push(path);
        patience.good();
        refusals.taken(path);
        counts.files += 1;
        run.progress({ phase: 'archiving', counters: { files: counts.files }, note: path });
      } catch (error) {
        run.log.warn('WAL file refused', { path, error: findFailure(error)?.message ?? String(error) });
        const isAlarm = refusals.refused(path, error, run.clock.nowMs());
        if (isRetryable(error)) {
          patience.bad(run.clock.nowMs());
          if (patience.isOver(run.clock.nowMs())) fail(error);
        } else if (holeOf(error) || isAlarm) fail(error);
        throw error;
      }
    };
    const listener = await listen({ socket, mode: socketMode, push });
    run.progress({ phase: 'archiving', note: `waiting for files at ${socket}` });
    try {
      await Promise.race([broken, watch(use, refusals)]);
    } finally {
      await listener.close();
    }
    return counts;
  });
}

/** Ends with the run's signal, or with why the server archives nothing; that it cannot be asked keeps no file from being taken. */
async function watch(use: ArchiveUse, refusals: Refusals): Promise<void> {
  const { ship, run } = use;
  const failing = new Failing();
  while (!run.signal.aborted) {
    if (await hasFailedLong(use, failing)) throw refusals.why();
    await run.clock.sleep(Math.max(LOOK_MS, ship.heartbeatEveryMs), run.signal).catch(() => undefined);
  }
}

async function hasFailedLong(use: ArchiveUse, failing: Failing): Promise<boolean> {
  const { ship, run } = use;
  try {
    const trouble = await withServer(use, archiverTrouble);
    if (trouble) throw failure('Precondition', `the server archives nothing to us: ${trouble.found}`, trouble);
    if (ship.heartbeatEveryMs > 0) await withServer(use, beat);
    return failing.seen(await withServer(use, isArchiverFailing), run.clock.nowMs());
  } catch (error) {
    if (run.signal.aborted) return false;
    if (isFailure(error, 'Precondition')) throw error;
    run.log.warn('the server could not be asked', { error: findFailure(error)?.message ?? String(error) });
    return false;
  }
}

/** As of a stream: without a commit now and then, no later moment can be reached. */
async function beat(sql: SqlClient): Promise<void> {
  await query(
    sql,
    `select case when pg_is_in_recovery() then null else pg_logical_emit_message(true, 'lifeboat', '') end`,
  );
}

/** Of several servers the one that archives to us. */
async function withServer<T>({ options, ship, run }: Asking, work: (sql: SqlClient) => Promise<T>): Promise<T> {
  const want = wishOf(options.connection, ship.from);
  const { connection } = await chooseServer(options.connection, { signal: run.signal, want });
  return withConnection(connection, { signal: run.signal }, work);
}
