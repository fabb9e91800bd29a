import type { Lsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import { keptByPeriods } from './retention-periods.ts';
import { judgeForensic } from './retention-forensic.ts';
import { goodnessOf } from './retention-good.ts';
import { neededWal, unneeded } from './retention-wal.ts';
import { windowBases } from './retention-window.ts';
import { timeMicros } from './target-parse.ts';
import type { TimelineHistory, WalObject } from './wal.ts';
import { rangesOf } from './wal-coverage.ts';

/** How much is kept. What one rule keeps, no other removes. */
export interface RetentionPolicy {
  /** Every moment of this time, up to now or the newest that the vault has, stays reachable, milliseconds. */
  windowMs: number;
  /** Newest full points that are whole, at least 1. */
  fulls: number;
  /** Days, weeks, months, quarters and years (UTC) of which one point each is kept; 0: none. */
  daily: number;
  weekly: number;
  monthly: number;
  quarterly: number;
  annual: number;
}

/** What is known of a point beside its manifest. Times are ISO 8601 UTC. */
export interface PointMarks {
  /** Nobody may remove it. */
  held?: { reason: string; at: string };
  /** Every byte of it was read and was right. */
  verifiedAt?: string;
  /** It was restored, and the copy passed every check. */
  provenAt?: string;
  /** The last time it was read, it was not what was signed. */
  wrong?: { at: string; reason: string };
  /** The last time its WAL was followed record by record, what makes it consistent was not right. */
  wrongWal?: { at: string; reason: string };
}

/** Something that reads a point now. */
export interface PointUse {
  points: readonly string[];
  /** It goes on with the WAL behind the newest of them. */
  wal: boolean;
  /** Who, for people: "restore/shop". */
  by: string;
}

/** All that the vault has of one cluster, and what has to be kept of it. */
export interface RetentionFacts {
  policy: RetentionPolicy;
  nowMicros: number;
  /** As the vault lists them: oldest first. */
  points: readonly PointSummary[];
  /** Copies that are evidence and no backups, oldest first. */
  forensic?: readonly PointSummary[];
  objects: readonly WalObject[];
  histories: readonly TimelineHistory[];
  marks: ReadonlyMap<string, PointMarks>;
  uses: readonly PointUse[];
}

export interface RetentionPlan {
  keep: { point: string; why: string[] }[];
  /** In the order of removal: what stands on another one goes before it. */
  remove: PointSummary[];
  wal: {
    remove: WalObject[];
    /** From where on everything of a timeline is kept; absent: all of it, or only what a kept point needs. */
    keepFrom: { timeline: number; lsn: Lsn }[];
  };
}

/**
 * Decides what goes and why the rest stays. Whatever is not understood stays: the newest point, the newest that is whole, was
 * proven or verified; what is held or in use; all that a kept point stands on; the WAL that each kept point needs to be
 * consistent; and for every moment of the window a base that is whole with all WAL behind it.
 */
export function planRetention(facts: RetentionFacts): RetentionPlan {
  const { points, objects, histories, policy } = facts;
  const holdings = { points, ranges: rangesOf([...objects]), histories };
  const isGood = goodnessOf(holdings, facts.marks);
  const cutoffMicros = newestMicros(facts) - policy.windowMs * 1000;
  const why = new Reasons();
  const bases = windowBases(holdings, { isGood, cutoffMicros });
  for (const { point, timeline } of bases) why.add(point, `the window begins with it on timeline ${timeline}`);
  for (const point of points)
    if (timeMicros(point.stoppedAt) >= cutoffMicros) why.add(point.point, 'inside the window');
  const lasting = new Set([...why.points(), ...keepNewest(facts, isGood, why)]);
  keepMarked(facts, why);
  for (const use of facts.uses) {
    for (const point of use.points) why.add(point, `in use by ${use.by}`);
    if (use.wal) for (const point of use.points) lasting.add(point);
  }
  for (const { point, rule } of keptByPeriods(points, policy, isGood)) why.add(point, rule);
  keepAncestors(points, why);
  const kept = points.filter(({ point }) => why.has(point));
  const needed = neededWal({ ...holdings, points: kept, links: points }, lasting);
  const evidence = judgeForensic(facts, cutoffMicros);
  return {
    keep: [...kept.map(({ point }) => ({ point, why: why.of(point) })), ...evidence.keep],
    remove: [...childrenFirst(points.filter(({ point }) => !why.has(point))), ...evidence.remove],
    wal: { remove: unneeded(objects, needed), keepFrom: needed.keepFrom },
  };
}

/**
 * The window ends with what the vault has: neither a clock that runs ahead nor a source that has stopped writing may use it up.
 */
function newestMicros({ points, objects, nowMicros }: RetentionFacts): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (const { stoppedAt } of points) newest = Math.max(newest, timeMicros(stoppedAt));
  for (const { lastCommitMicros } of objects) newest = Math.max(newest, lastCommitMicros ?? newest);
  return Math.min(newest, nowMicros);
}

class Reasons {
  readonly #why = new Map<string, string[]>();

  add(point: string, reason: string): void {
    const known = this.#why.get(point);
    if (known) known.push(reason);
    else this.#why.set(point, [reason]);
  }

  has(point: string): boolean {
    return this.#why.has(point);
  }

  of(point: string): string[] {
    return this.#why.get(point) ?? [];
  }

  points(): string[] {
    return [...this.#why.keys()];
  }
}

type IsGood = (point: PointSummary) => boolean;

/** The last of a kind is kept whether it is whole or not, and so is the last that is whole. Answers the newest of all. */
function keepNewest({ points, policy, marks }: RetentionFacts, isGood: IsGood, why: Reasons): string[] {
  const both = (what: string, fits: (point: PointSummary) => boolean): string[] => {
    const fitting = points.filter(fits);
    const found = [...new Set([fitting.at(-1), fitting.findLast(isGood)])].filter((point) => point !== undefined);
    for (const each of found) why.add(each.point, isGood(each) ? what : `${what}, though it is not whole`);
    return found.map(({ point }) => point);
  };
  const newest = both('the newest', () => true);
  both('the newest that was restored and proven', ({ point }) => marks.get(point)?.provenAt !== undefined);
  both('the newest that was verified', ({ point }) => marks.get(point)?.verifiedAt !== undefined);
  both('the newest full one', ({ kind }) => kind === 'full');
  const fulls = points.filter((point) => point.kind === 'full' && isGood(point)).slice(-policy.fulls);
  for (const { point } of fulls) why.add(point, `one of the newest ${policy.fulls} full points`);
  return newest;
}

function keepMarked({ points, marks }: RetentionFacts, why: Reasons): void {
  for (const { point } of points) {
    const held = marks.get(point)?.held;
    if (held) why.add(point, `held: ${held.reason}`);
  }
}

/** As far as parents are known: a chain that is broken further down is no reason to break it here. */
function keepAncestors(points: readonly PointSummary[], why: Reasons): void {
  const known = new Map(points.map((point) => [point.point, point]));
  const carried = new Set<string>();
  for (const name of why.points()) {
    let child = known.get(name);
    while (child?.parent !== undefined && !carried.has(`${child.point}`)) {
      carried.add(child.point);
      const parent = known.get(child.parent);
      if (parent) why.add(parent.point, `${child.point} stands on it`);
      child = parent;
    }
  }
}

function childrenFirst(points: readonly PointSummary[]): PointSummary[] {
  const known = new Map(points.map((point) => [point.point, point]));
  const depth = (point: PointSummary): number => {
    const seen = new Set<string>();
    for (let at: PointSummary | undefined = point; at && !seen.has(at.point); at = known.get(at.parent ?? ''))
      seen.add(at.point);
    return seen.size;
  };
  return points
    .map((point) => ({ point, depth: depth(point) }))
    .sort((a, b) => b.depth - a.depth)
    .map(({ point }) => point);
}
