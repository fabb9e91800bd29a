import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

/**
 * Timeouts and retries of all activities, in this one place. A worker that died is noticed after HEARTBEAT; cancellation
 * reaches an activity with the reply to a heartbeat, so it is short everywhere.
 */
const HEARTBEAT = '10s';

interface Use {
  /** Shown in the Temporal UI beside the activity. */
  summary: string;
  /** Queue of one host; default: any worker. */
  taskQueue?: string;
}

/** Looks and decides. It gives up after about half a minute, because somebody waits for the answer. */
export function quick(use: Use): Activities {
  return proxyActivities<Activities>({
    ...use,
    startToCloseTimeout: '15m',
    heartbeatTimeout: HEARTBEAT,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 6 },
  });
}

/** Moves data. A store or a server that is away is waited for; only what cannot get better by itself ends the run. */
export function bulk(use: Use): Activities {
  return proxyActivities<Activities>({
    ...use,
    startToCloseTimeout: '30d',
    heartbeatTimeout: HEARTBEAT,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
  });
}

/** Tells people. It may fail for good without harm to the run. */
export function telling(use: Use): Activities {
  return proxyActivities<Activities>({
    ...use,
    startToCloseTimeout: '1m',
    heartbeatTimeout: HEARTBEAT,
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 },
  });
}
