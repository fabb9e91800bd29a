/** Workflow ids say what they hold and forbid two at once. */
export const workflowId = {
  backup: (source: string): string => `backup/${source}`,
  restore: (source: string): string => `restore/${source}`,
  recover: (source: string): string => `recover/${source}`,
  rescue: (source: string): string => `rescue/${source}`,
  failover: (service: string): string => `failover/${service}`,
  failoverDrill: (service: string): string => `failover-drill/${service}`,
  ready: (service: string): string => `ready/${service}`,
  watch: (service: string): string => `watch/${service}`,
  rejoin: (service: string): string => `rejoin/${service}`,
  failback: (service: string): string => `failback/${service}`,
  drill: (source: string): string => `drill/${source}`,
  /** Streams count from 1. */
  wal: (source: string, stream = 1): string => (stream === 1 ? `wal/${source}` : `wal/${source}/${stream}`),
  verify: (source: string, point: string): string => `verify/${source}/${point}`,
  verifyAll: (source: string): string => `verify/${source}/all`,
  verifyWal: (source: string): string => `verify/${source}/wal`,
  compactWal: (source: string): string => `wal/${source}/compact`,
  extract: (source: string, point: string): string => `extract/${source}/${point}`,
  retention: (source: string): string => `retention/${source}`,
  /** What a run has left open for people, by the run's own id. */
  notices: (run: string): string => `notices/${run}`,
  hold: (source: string, point: string): string => `hold/${source}/${point}`,
} as const;

/** Names of sources: they become part of workflow ids, of keys in a store and of a replication slot. At most 50 letters. */
export const NAME_FORM = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
export const NAME_MOST_LETTERS = 50;

export const TASK_QUEUE = 'lifeboat';

export function hostQueue(host: string): string {
  return `${TASK_QUEUE}.host.${host}`;
}

/** Id of a Schedule of ours: the prefix marks what `apply` may touch. */
export function scheduleId(source: string, workflow: string): string {
  return `lifeboat/${source}/${workflow}`;
}

/** Physical replication slot of a source: PostgreSQL allows [a-z0-9_], 63 characters. */
export function slotName(source: string): string {
  return `lifeboat_${source.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

/** As many as one source may have. */
export const MOST_STREAMS = 4;

/** Slots of all streams of a source: the first one's, and a name of its own for each further one. */
export function streamSlots(slot: string, streams = 1): string[] {
  return Array.from({ length: streams }, (_, index) => (index === 0 ? slot : `${slot.slice(0, 61)}_${index + 1}`));
}

/**
 * What every point of one run begins with: sorts by time, "20260301T020000Z-1a2b3c4d"; the attempt follows it. `run` tells
 * two runs of one second apart.
 */
export function pointPrefix(startedAt: string, run: string): string {
  const stamp = startedAt.replace(/\.\d+/, '').replace(/[-:]/g, '');
  return `${stamp}-${shortRun(run)}`;
}

/** Eight letters of a run id, its last: Temporal's ids (UUID version 7) begin with the time and are alike for a minute. */
export function shortRun(run: string): string {
  return run.replaceAll(/[^a-z0-9]/gi, '').slice(-8);
}
