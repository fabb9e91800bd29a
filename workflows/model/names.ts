/** Workflow ids say what they hold and forbid two at once. */
export const workflowId = {
  backup: (source: string): string => `backup/${source}`,
  restore: (source: string): string => `restore/${source}`,
  drill: (source: string): string => `drill/${source}`,
  wal: (source: string): string => `wal/${source}`,
  verify: (source: string, point: string): string => `verify/${source}/${point}`,
} as const;

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

/** Point id: sorts by time; `run` tells two runs of one second apart, `attempt` two attempts of one run. */
export function pointId(startedAt: string, run: string, attempt: number): string {
  const stamp = startedAt.replace(/\.\d+/, '').replace(/[-:]/g, '');
  return `${pointPrefix(stamp, run)}-${attempt}`;
}

export function pointPrefix(stamp: string, run: string): string {
  return `${stamp}-${run.replace(/[^a-z0-9]/gi, '').slice(0, 8)}`;
}
