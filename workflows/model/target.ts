import type { Lsn } from './lsn.ts';

/** Where recovery stops (manual 19.5.6 "Recovery Target"). `time` is ISO 8601 and always carries an offset. */
export type Target =
  | { kind: 'time'; time: string; inclusive: boolean }
  | { kind: 'lsn'; lsn: Lsn; inclusive: boolean }
  | { kind: 'xid'; xid: string; inclusive: boolean }
  | { kind: 'name'; name: string }
  | { kind: 'immediate' }
  | { kind: 'latest' };

/** Targets of which only the WAL itself says where they are. */
export type MarkTarget = Extract<Target, { kind: 'xid' | 'name' }>;

export function isMarkTarget(target: Target): target is MarkTarget {
  return target.kind === 'xid' || target.kind === 'name';
}

/** latest: follow every switch known to the vault; current: stay on the base's own timeline; or a number. */
export type TimelineChoice = 'latest' | 'current' | number;

/** What happens when the target is reached and proven. */
export type TargetAction = 'promote' | 'pause' | 'shutdown';

/** A target in words: "time 2026-03-01T11:00:00Z", "transaction 742". */
export function describeTarget(target: Target): string {
  const before = 'inclusive' in target && !target.inclusive ? 'just before ' : '';
  switch (target.kind) {
    case 'time':
      return `${before}${target.time}`;
    case 'lsn':
      return `${before}LSN ${target.lsn}`;
    case 'xid':
      return `${before}transaction ${target.xid}`;
    case 'name':
      return `restore point "${target.name}"`;
    case 'immediate':
      return 'the end of the backup';
    case 'latest':
      return 'the newest moment in the vault';
  }
}
