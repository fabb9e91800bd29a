import type { ActivityOptions } from '@temporalio/workflow';
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

/**
 * Timeouts and retries of all activities, in this one place. A worker that died is noticed after HEARTBEAT; cancellation
 * reaches an activity with the reply to a heartbeat, so it is short everywhere.
 */
const HEARTBEAT = '10s';

/** What only a mistake in a program throws: the same call would make it again. */
const MISTAKES = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'AssertionError'];

const QUICK_RETRY = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '10s',
  maximumAttempts: 6,
} as const;

interface Use {
  /** Shown in the Temporal UI beside the activity. */
  summary: string;
  /** Queue of one host; default: any worker. */
  taskQueue?: string;
}

/** Looks and decides. It gives up after about half a minute, because somebody waits for the answer. */
export function quick(use: Use): Activities {
  return proxied(use, { startToCloseTimeout: '15m', retry: QUICK_RETRY });
}

/** Looks at what a host alone can see, before anything is touched: that nobody comes for it is an answer, too. */
export function locating(use: Use): Activities {
  const wait = use.taskQueue === undefined ? {} : { scheduleToStartTimeout: '2m' as const };
  return proxied(use, { startToCloseTimeout: '15m', ...wait, retry: QUICK_RETRY });
}

/** The same, where the answer takes reading what is stored. */
export function search(use: Use): Activities {
  return proxied(use, { startToCloseTimeout: '30d', retry: QUICK_RETRY });
}

/** Moves data. A store or a server that is away is waited for; only what cannot get better by itself ends the run. */
export function bulk(use: Use): Activities {
  return proxied(use, {
    startToCloseTimeout: '30d',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
  });
}

/**
 * Moves data for as long as it can. One attempt: the run sees each end, tells people, and decides about the next. A host
 * whose worker does not come for it is an end, too.
 */
export function endless(use: Use): Activities {
  const wait = use.taskQueue === undefined ? {} : { scheduleToStartTimeout: '2m' as const };
  return proxied(use, { startToCloseTimeout: '30d', ...wait, retry: { maximumAttempts: 1 } });
}

/** Moves traffic: as long as it takes, for it is looked at and never done twice; each call of a switch has its own limit. */
export function moving(use: Use): Activities {
  return proxied(use, {
    startToCloseTimeout: '1h',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
  });
}

/**
 * Looks at a server whose host may be gone: an answer that does not come soon is one, too. What a look throws that is no matter of
 * time is thrown at once.
 */
export function looking(use: Use, patienceMs: number): Activities {
  return proxied(use, {
    startToCloseTimeout: '30s',
    scheduleToStartTimeout: patienceMs,
    retry: { initialInterval: '500ms', maximumAttempts: 2 },
  });
}

/**
 * Looks at servers until it sees something new. One attempt: that nobody looks from there is news, too, and the run asks again. Longer than
 * an observer is silent for, which ends one that hangs.
 */
export function observing(use: Use, patienceMs: number): Activities {
  return proxied(use, {
    startToCloseTimeout: '15m',
    scheduleToStartTimeout: patienceMs,
    retry: { maximumAttempts: 1 },
  });
}

/** Keeps a server from serving whose host may be gone: somebody waits, and the next step of the ladder, too. */
export function fencing(use: Use, patienceMs: number): Activities {
  return proxied(use, {
    startToCloseTimeout: '5m',
    scheduleToStartTimeout: patienceMs,
    retry: { initialInterval: '500ms', maximumAttempts: 2 },
  });
}

/** Brings a server back that nobody waits for: it ends, well or not, so that the run does. */
export function settling(use: Use): Activities {
  return proxied(use, {
    startToCloseTimeout: '15m',
    scheduleToStartTimeout: '5m',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumAttempts: 4 },
  });
}

/**
 * Moves data by a program of others, whose failures carry no code: what comes again and again cannot get better by itself,
 * so it gives up after about five minutes of failures.
 */
export function foreign(use: Use): Activities {
  return proxied(use, {
    startToCloseTimeout: '30d',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '2m', maximumAttempts: 8 },
  });
}

/** Tells people. It may fail for good without harm to the run. */
export function telling(use: Use): Activities {
  return proxied(use, {
    startToCloseTimeout: '1m',
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 },
  });
}

function proxied({ summary, ...use }: Use, { retry, ...options }: ActivityOptions): Activities {
  return proxyActivities<Activities>({
    ...use,
    ...options,
    summary: shortSummary(summary),
    heartbeatTimeout: HEARTBEAT,
    // What takes a step back must not run beside it. The documented default; without it the SDK does not wait.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { ...retry, nonRetryableErrorTypes: MISTAKES },
  });
}

/** Bytes as sent; the server refuses the whole task of a run whose summary exceeds 400. */
const LONGEST_SUMMARY_BYTES = 300;

/** A summary that the server takes, whatever names and targets a person gave. */
export function shortSummary(text: string): string {
  const bytes = (part: string): number => new TextEncoder().encode(JSON.stringify(part)).length;
  if (bytes(text) <= LONGEST_SUMMARY_BYTES) return text;
  let short = '';
  for (const letter of text) {
    if (bytes(short + letter) > LONGEST_SUMMARY_BYTES - 6) break;
    short += letter;
  }
  return `${short}...`;
}
