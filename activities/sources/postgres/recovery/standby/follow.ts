import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../../workflows/model/lsn.ts';
import type { OpenEvidence, RecoveryPlan, ReplayEvidence } from '../../../../../workflows/model/recovery.ts';
import type { StandbyEvidence } from '../../../../../workflows/model/standby.ts';
import { historyFileName } from '../../../../../workflows/model/timeline.ts';
import type { TimelineHistory } from '../../../../../workflows/model/wal.ts';
import { query } from '../../../../io/postgres/connection.ts';
import { runningServer } from '../../../../io/postgres/server.ts';
import { onHistory } from '../../wal/on-history.ts';
import type { Feeder, FeederOptions } from '../feeder.ts';
import { whileFeeding } from '../feeder.ts';
import type { Place } from '../place.ts';
import { placeOf } from '../place.ts';
import { readRecoveryLog } from '../server-log.ts';
import { withRecovered } from '../session.ts';
import { replaceFile } from '../settings-file.ts';
import { writeFollowingSettings } from '../settings.ts';
import type { Launched, Replaying } from '../start.ts';
import { keepHistories, startUnlessRunning } from '../start.ts';
import { tryFetching } from './fetch-command.ts';
import { goalOf } from './goal.ts';
import { upstreamOf, writePassfile } from './settings.ts';
import { historyFilesOf } from './upstream.ts';
import type { Followed, Watched } from './watch.ts';
import { untilFollowing } from './watch.ts';

/** Starts the copy as a standby and feeds it until it has come up with whom it follows. */
export async function followWal(use: Replaying): Promise<ReplayEvidence> {
  const { plan } = use;
  const place = placeOf(plan);
  // The vault's end has to be asked before the feeder lists what it serves: it looks again only behind its last segment.
  const stored: Pick<Watched, 'goal'> = plan.standby?.follow === 'archive' ? { goal: await goalOf(use) } : {};
  const history = await bringUpstream(use, place);
  const known = history ? { ...use, wal: onHistory(use.wal, history) } : use;
  return whileFeeding(feedingOf(known, place), async (feeder, fedRun) => {
    const fed = { ...known, run: fedRun };
    await keepHistories(fed, place);
    const server = await startUnlessRunning(fed, place);
    const state = await untilFollowing(fed, { feeder, server, ...stored });
    return evidenceOf(plan, state, feeder.served);
  });
}

function feedingOf({ plan, host, wal, run }: Replaying, place: Place): FeederOptions {
  const { systemId, segmentBytes } = plan.base;
  return { place, host, wal, run, systemId, segmentBytes };
}

/**
 * What the standby needs of its primary before it starts: the password, and how it came to its timeline. Without that it
 * would replay WAL of the vault that an old primary wrote behind the fork, and could not go over any more.
 */
async function bringUpstream(use: Replaying, place: Place): Promise<TimelineHistory | undefined> {
  const { plan, host, options, wal, run } = use;
  const upstream = upstreamOf({ plan, options });
  if (!upstream) return undefined;
  await writePassfile({ plan, place, options, host });
  const { history, files } = await historyFilesOf(upstream, run);
  await mkdir(join(place.data, 'pg_wal'), { recursive: true });
  for (const { timeline, content } of files) {
    const stored = await wal.readHistory(plan.base.systemId, timeline);
    if (stored && !stored.equals(content)) throw twoHistories(timeline);
    await replaceFile(join(place.data, 'pg_wal', historyFileName(timeline)), host, content);
  }
  return history;
}

function twoHistories(timeline: number): Error {
  return failure('Integrity', `timeline ${timeline} of the primary is not the one that is stored`, {
    place: historyFileName(timeline),
    expected: 'one promotion that made this timeline',
    found: 'two histories of one number',
    hint: 'two servers were promoted from one; a new standby of either needs a backup of it: lifeboat backup',
  });
}

async function evidenceOf(plan: RecoveryPlan, state: Followed, segments: number): Promise<ReplayEvidence> {
  const log = await readRecoveryLog(placeOf(plan));
  const { startLsn } = plan.base;
  const { lsn, timeline, lastCommitAt } = state;
  return {
    consistentAt: log.consistentAt ?? '0/0',
    stopReason: plan.standby?.follow === 'archive' ? 'it has what the vault had' : 'it has what its primary had',
    stoppedAtLsn: lsn,
    ...(lastCommitAt === undefined ? {} : { lastCommitAt }),
    walBytes: compareLsn(lsn, startLsn) > 0 ? lsnDistanceBytes(startLsn, lsn) : 0,
    ...{ segments, timeline },
  };
}

/**
 * Gives the standby what it lives by when we are gone, and sees it follow once more with that. A repeat does the same; one
 * that somebody stopped meanwhile is brought up again first.
 */
export async function handOver(use: Replaying): Promise<OpenEvidence> {
  const { plan, host, run } = use;
  const place = placeOf(plan);
  if ((await runningServer(plan.into)) === undefined) await followWal(use);
  const fetched = await tryFetching(plan, { host, place, run });
  // What it asked for by the old command is still answered.
  return whileFeeding(feedingOf(use, place), async (feeder, fedRun) => {
    const fed = { ...use, run: fedRun };
    const { state, pid } = await followingAlone(fed, feeder);
    return {
      host: '127.0.0.1',
      ...{ port: plan.port, dataDirectory: plan.into, pid },
      state: 'standby',
      timeline: state.timeline,
      follows: seenOf(plan, state, fetched),
    };
  });
}

/** One that has to be started with higher settings meanwhile comes up with the command that ends with us: it is given its own again. */
async function followingAlone(
  use: Replaying,
  feeder: Feeder,
): Promise<{ state: Awaited<ReturnType<typeof untilFollowing>>; pid: number }> {
  const { plan, host, options } = use;
  const { segmentBytes } = plan.base;
  const pid = await runningServer(plan.into);
  const server: Launched = pid === undefined ? {} : { pid };
  const onUp = async (): Promise<void> => {
    await writeFollowingSettings({ plan, place: placeOf(plan), host, options, segmentBytes });
    await withRecovered(plan, {}, (client) => query(client, 'select pg_reload_conf()'));
  };
  const state = await untilFollowing(use, { feeder, server, onUp });
  return { state, pid: server.pid ?? 0 };
}

function seenOf(
  { standby }: RecoveryPlan,
  state: Awaited<ReturnType<typeof untilFollowing>>,
  fetched: string,
): StandbyEvidence {
  const { goal, lsn, systemId, receiver } = state;
  return {
    follow: standby?.follow ?? 'streaming',
    ...(goal.primary === undefined ? {} : { primary: goal.primary }),
    ...{ systemId, timeline: goal.timeline, markerLsn: goal.lsn, replayedLsn: lsn, fetched },
    ...(receiver ? { receiver } : {}),
  };
}
