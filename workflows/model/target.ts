import type { Lsn } from './lsn.ts';

/** Where recovery stops (manual 19.5.6 "Recovery Target"). `time` is ISO 8601 and always carries an offset. */
export type Target =
  | { kind: 'time'; time: string; inclusive: boolean }
  | { kind: 'lsn'; lsn: Lsn; inclusive: boolean }
  | { kind: 'xid'; xid: string; inclusive: boolean }
  | { kind: 'name'; name: string }
  | { kind: 'immediate' }
  | { kind: 'latest' };

/** latest: follow every switch known to the vault; current: stay on the base's own timeline; or a number. */
export type TimelineChoice = 'latest' | 'current' | number;

/** What happens when the target is reached and proven. */
export type TargetAction = 'promote' | 'pause' | 'shutdown';
