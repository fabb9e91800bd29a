import type { PointSummary } from './manifest.ts';
import type { RetentionPolicy } from './retention.ts';

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday. */
const MONDAY_SHIFT = 3;

type Rule = 'daily' | 'weekly' | 'monthly' | 'quarterly' | 'annual';

/** Names the period that a moment (ISO 8601 UTC) belongs to. */
const PERIOD_OF: Record<Rule, (at: string) => string> = {
  daily: (at) => at.slice(0, 10),
  weekly: (at) => {
    const days = Math.floor(Date.parse(at) / DAY_MS);
    const monday = days - ((days + MONDAY_SHIFT) % 7);
    return `week of ${new Date(monday * DAY_MS).toISOString().slice(0, 10)}`;
  },
  monthly: (at) => at.slice(0, 7),
  quarterly: (at) => `${at.slice(0, 4)}-Q${Math.ceil(Number(at.slice(5, 7)) / 3)}`,
  annual: (at) => at.slice(0, 4),
};

export const PERIOD_RULES = Object.keys(PERIOD_OF) as Rule[];

/**
 * One point of each of the newest periods that have a good one: the newest full one, else the newest. A period that has
 * only bad ones keeps its newest, and does not count: it replaces nothing.
 */
export function keptByPeriods(
  points: readonly PointSummary[],
  policy: Pick<RetentionPolicy, Rule>,
  isGood: (point: PointSummary) => boolean,
): { point: string; rule: string }[] {
  return PERIOD_RULES.flatMap((rule) => {
    let left = policy[rule];
    const kept: { point: string; rule: string }[] = [];
    for (const [period, members] of periodsOf(points, PERIOD_OF[rule])) {
      if (left === 0) break;
      const good = members.filter(isGood);
      const chosen = good.findLast(({ kind }) => kind === 'full') ?? good.at(-1);
      if (chosen) left -= 1;
      const point = (chosen ?? members.at(-1))?.point;
      if (point !== undefined) kept.push({ point, rule: `${rule}: ${period}${chosen ? '' : ', though not whole'}` });
    }
    return kept;
  });
}

/** Newest period first; members oldest first. */
function periodsOf(points: readonly PointSummary[], periodOf: (at: string) => string): [string, PointSummary[]][] {
  const periods = new Map<string, PointSummary[]>();
  for (const point of points) {
    const period = periodOf(point.stoppedAt);
    const members = periods.get(period);
    if (members) members.push(point);
    else periods.set(period, [point]);
  }
  return [...periods].sort(([, a], [, b]) => ((a[0]?.stoppedAt ?? '') < (b[0]?.stoppedAt ?? '') ? 1 : -1));
}
