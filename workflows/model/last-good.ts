import type { Lsn } from './lsn.ts';
import type { ReachableWindow } from './recovery.ts';
import type { Target } from './target.ts';
import { isoOfMicros, timeMicros } from './target-parse.ts';

/** A moment to recover to in order to see whether it is good. */
export interface Probe {
  point: string;
  target: Target;
}

export interface LastGood extends Probe {
  /** Where the next moment that was tried is bad; absent when the newest is good. */
  badFrom?: string;
  /** Recoveries that it took. */
  tried: number;
}

/** How many records of a transaction changed rows of a relation; one may insert many rows. */
export interface TouchedRelation {
  /** database.schema.name; where no catalog knows it, the path of its first file: "base/5/16384". */
  relation: string;
  inserts: number;
  updates: number;
  deletes: number;
}

/** A transaction that was committed; `lsn` is where its commit record begins. */
export interface Commit {
  /** 32 bits. */
  xid: string;
  lsn: Lsn;
  /** ISO 8601 UTC with microseconds. */
  at?: string;
  /** What it changed in the WAL that was read; absent when that is nothing. */
  relations?: TouchedRelation[];
  /** Records about further relations. */
  moreRecords?: number;
}

/** "shop.public.orders +2 ~1 -0": records that insert, update, delete. */
export function touchedText({ relations = [], moreRecords }: Commit): string {
  const each = relations.map(
    ({ relation, inserts, updates, deletes }) => `${relation} +${inserts} ~${updates} -${deletes}`,
  );
  return [...each, ...(moreRecords === undefined ? [] : [`${moreRecords} records of others`])].join(', ');
}

/** Transactions that a recovered cluster lacks, as far as the vault has their WAL. */
export interface LostCommits {
  fromLsn: Lsn;
  total: number;
  /** The first of them, oldest first. */
  first: Commit[];
  /** Reports in the vault with all of them, a JSON object a line. */
  reports: string[];
}

export interface Bounds {
  /** Recoveries that are tried at most. */
  most: number;
  /** A good and a bad moment that are no further apart are good enough, microseconds. */
  precisionMicros: number;
}

/**
 * Looks for the last good moment backwards: with each base, newest first, the newest moment it leads to (damage of newer bases
 * or of production's own files is healed by replaying over an older base), then its own end; where that is good, the moments
 * between are halved. What is good before the damage and bad behind it is found; undefined when no base is good at its end.
 */
export async function findLastGood(
  windows: readonly ReachableWindow[],
  isGood: (probe: Probe) => Promise<boolean>,
  bounds: Bounds,
): Promise<LastGood | undefined> {
  let tried = 0;
  const tries = async (probe: Probe): Promise<boolean> => {
    tried += 1;
    return isGood(probe);
  };
  for (const { point, from, to } of windows.toReversed()) {
    if (tried >= bounds.most) return undefined;
    const newest: Target = to === undefined ? { kind: 'immediate' } : beforeCommit(timeMicros(to));
    if (await tries({ point, target: newest })) return { point, target: newest, tried };
    if (to === undefined || tried >= bounds.most) continue;
    const end: Probe = { point, target: { kind: 'immediate' } };
    if (!(await tries(end))) continue;
    let [good, bad] = [timeMicros(from), timeMicros(to)];
    let found = end;
    while (bad - good > bounds.precisionMicros && tried < bounds.most) {
      const middle = good + Math.floor((bad - good) / 2);
      const probe: Probe = { point, target: beforeCommit(middle) };
      if (await tries(probe)) [good, found] = [middle, probe];
      else bad = middle;
    }
    return { ...found, badFrom: isoOfMicros(bad), tried };
  }
  return undefined;
}

/** The newest commit itself is the first that recovery stops in front of: there has to be one behind the target. */
function beforeCommit(micros: number): Target {
  return { kind: 'time', time: isoOfMicros(micros), inclusive: false };
}
