import type { WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import type { Config } from '../activities/config/index.ts';
import { loadKeys } from '../activities/config/index.ts';
import type { Deps } from '../activities/deps.ts';
import { systemClock } from '../activities/io/clock.ts';
import type { Log } from '../activities/io/run.ts';
import { queuesOf } from './queues.ts';

export interface WorkerFacts {
  config: Config;
  host: string;
  tool: string;
  log: Log;
  searchAttributes: boolean;
}

type Composed = Pick<
  WorkerOptions,
  | 'taskQueue'
  | 'activities'
  | 'maxConcurrentActivityTaskExecutions'
  | 'maxHeartbeatThrottleInterval'
  | 'defaultHeartbeatThrottleInterval'
  | 'shutdownGraceTime'
  | 'shutdownForceTime'
  | 'identity'
>;

/** A source has one stream, one backup and one restore at a time; a hundred of anything would only share two disks. */
const ACTIVITIES_AT_ONCE = 50;
/** A cancellation arrives with the reply to a heartbeat, and the progress bar shows what a heartbeat said. */
const HEARTBEATS = { maxHeartbeatThrottleInterval: '1s', defaultHeartbeatThrottleInterval: '1s' } as const;
/** Running steps are told to stop at once: each can go on elsewhere, where it stopped. Who does not obey is left behind. */
const SHUTDOWN = { shutdownGraceTime: '0s', shutdownForceTime: '25s' } as const;

/** From configuration to worker options, one for each queue; no I/O. */
export function composeWorkers(facts: WorkerFacts): { common: Composed; own: Composed } {
  const { common, own } = queuesOf(facts.host);
  const shared = {
    activities: createActivities(depsOf(facts)),
    maxConcurrentActivityTaskExecutions: ACTIVITIES_AT_ONCE,
    identity: `lifeboat@${facts.host}`,
    ...HEARTBEATS,
    ...SHUTDOWN,
  };
  return { common: { ...shared, taskQueue: common }, own: { ...shared, taskQueue: own } };
}

function depsOf({ config, host, tool, log, searchAttributes }: WorkerFacts): Deps {
  return { config, host, tool, log, searchAttributes, clock: systemClock, loadKeys: () => loadKeys(config) };
}
