import type { RetentionFacts, RetentionPlan } from './retention.ts';
import { timeMicros } from './target-parse.ts';

/** Evidence stays as long as the window is, and the newest for good; it replaces no backup, and no rule of days counts it. */
export function judgeForensic(
  { forensic = [], marks, uses }: RetentionFacts,
  cutoffMicros: number,
): Pick<RetentionPlan, 'keep' | 'remove'> {
  const plan: Pick<RetentionPlan, 'keep' | 'remove'> = { keep: [], remove: [] };
  for (const point of forensic) {
    const held = marks.get(point.point)?.held;
    const use = uses.find(({ points }) => points.includes(point.point));
    const why = [
      ...(point === forensic.at(-1) ? ['the newest forensic copy'] : []),
      ...(timeMicros(point.stoppedAt) >= cutoffMicros ? ['forensic copy, inside the window'] : []),
      ...(held ? [`held: ${held.reason}`] : []),
      ...(use ? [`in use by ${use.by}`] : []),
    ];
    if (why.length > 0) plan.keep.push({ point: point.point, why });
    else plan.remove.push(point);
  }
  return plan;
}
