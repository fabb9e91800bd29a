import { failure } from '../../../../workflows/model/failure.ts';
import { leftAt, parseHistory } from '../../../../workflows/model/timeline.ts';
import type { SeenServer } from '../../../io/postgres/choose-server.ts';
import { chooseServer, lookAtServers, wishOf } from '../../../io/postgres/choose-server.ts';
import type { ServerOptions } from '../../../io/postgres/options.ts';
import { serversOf } from '../../../io/postgres/options.ts';
import { connectReplication, timelineHistory } from '../../../io/postgres/replication.ts';
import type { Run } from '../../../io/run.ts';
import type { ShipOptions, WalVault } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';

/** How often the other servers of a cluster are looked at while one of them sends. */
const LOOK_MS = 30_000;

export interface Following {
  options: PostgresOptions;
  ship: ShipOptions;
  vault: WalVault;
  run: Run;
}

/**
 * The server to stream from. Of several, the one on the newest timeline that descends from the newest in the vault: a standby
 * that was promoted beside it is not followed, and neither is what was left. When none descends, what is refused says so.
 */
export async function serverToFollow({ options, ship, vault, run }: Following): Promise<ServerOptions> {
  const want = wishOf(options.connection, ship.from);
  const chosen = await chooseServer(options.connection, { signal: run.signal, want });
  const { connection, place, role, systemId, timeline } = chosen;
  run.log.info('WAL from', { place, role: role ?? 'not asked' });
  if (systemId === undefined || timeline === undefined || serversOf(options.connection).length === 1) return connection;
  const held = (await vault.list({ systemId })).at(-1)?.timeline;
  if (held === undefined || (await descends({ connection, timeline }, held, run))) return connection;
  const others = (await lookAtServers(options.connection, run))
    .filter((server): server is SeenServer => 'role' in server && server.role === role && server.place !== place)
    .sort((a, b) => b.timeline - a.timeline);
  for (const other of others) {
    if (other.timeline < held || !(await descends(other, held, run))) continue;
    run.log.error('a server on another history is not followed', { place, timeline, followed: other.place, held });
    return other.connection;
  }
  return connection;
}

async function descends(
  { connection, timeline }: Pick<SeenServer, 'connection' | 'timeline'>,
  held: number,
  run: Run,
): Promise<boolean> {
  if (timeline === held) return true;
  if (timeline < held) return false;
  await using walsender = await connectReplication(connection, run);
  const content = await timelineHistory(walsender, timeline);
  return leftAt(parseHistory(timeline, content.toString('utf8')), held) !== undefined;
}

/** What one connection of a stream is about. */
interface Sending {
  from: ServerOptions;
  timeline: number;
}

/**
 * Does the work, which is given a signal of its own, until another server has gone on to a newer timeline of the same history,
 * or the vault has: then it ends with Unavailable, so that the next connection goes there. Both primaries may be up.
 */
export async function whileFollowed<T>(
  at: Following,
  { from, timeline }: Sending,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  if (serversOf(at.options.connection).length === 1) return work(at.run);
  const over = new AbortController();
  const run: Run = { ...at.run, signal: AbortSignal.any([at.run.signal, over.signal]) };
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      const next = await newerPlace({ ...at, run }, { from, timeline });
      if (next !== undefined) over.abort(left(timeline, next));
    } catch (error) {
      run.log.debug('the other servers could not be looked at', { error: String(error) });
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), at.ship.lookEveryMs ?? LOOK_MS);
  try {
    return await work(run);
  } catch (error) {
    throw over.signal.aborted ? over.signal.reason : error;
  } finally {
    clearInterval(timer);
    over.abort(new Error('the stream is over'));
  }
}

/** Where the history goes on that the stream is on; undefined while that is where it is. */
async function newerPlace(at: Following, { from, timeline }: Sending): Promise<string | undefined> {
  const want = wishOf(at.options.connection, at.ship.from);
  const chosen = await chooseServer(at.options.connection, { signal: at.run.signal, want });
  const isOther = chosen.connection.host !== from.host || chosen.connection.port !== from.port;
  if (!isOther || chosen.timeline === undefined || chosen.timeline <= timeline) return undefined;
  return (await descends({ ...chosen, timeline: chosen.timeline }, timeline, at.run)) ? chosen.place : undefined;
}

function left(timeline: number, place: string): Error {
  return failure('Unavailable', `timeline ${timeline} was left: ${place} is on a newer one`, {
    place,
    expected: 'one primary',
    found: 'two servers that write; the newer timeline is followed',
    hint: 'stop the old primary, or make it a standby of the new one with pg_rewind',
  });
}
