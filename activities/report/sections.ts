import { CHECK_HEAD, checkRows } from '../../workflows/model/check-rows.ts';
import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import type { RecoveryPlan, RestoreResult } from '../../workflows/model/recovery.ts';
import { PHASES } from '../../workflows/model/recovery.ts';
import type { Report, ReportSection } from '../../workflows/model/report.ts';
import { followText } from '../../workflows/model/standby.ts';
import { describeTarget } from '../../workflows/model/target.ts';
import { changeSections, stepSection } from './change-sections.ts';
import { bytesText, spanText } from './text.ts';

export const EVENT_HEAD = ['', 'when (UTC)', 'where', 'what'];

/** Everything between the picture and the events, as tables: each form of a report shows these. */
export function sectionsOf(report: Report): ReportSection[] {
  const { result, sections = [], next = [] } = report;
  return [
    ...failureSection(report),
    ...(next.length > 0 ? [{ title: 'Left to do', head: ['', ''], rows: numbered(next) }] : []),
    ...sections,
    ...changeSections(report),
    ...stepSection(report),
    ...(result ? [phaseSection(result), ...proofSection(result), planSection(result.plan)] : []),
  ];
}

/** One row for each event. */
export function eventRows({ events, eventsBefore = 0 }: Report): string[][] {
  return events.map(({ at, lane, what }, index) => [String(eventsBefore + index + 1), at, lane, what]);
}

/** What could be restored when the report was written. */
export function reachSections(reach: CopyReach): { moments: ReportSection; faults?: ReportSection } {
  const rows = reach.timelines.flatMap(({ timeline, isDefault, times, positions }) =>
    (times.length > 0 ? times : [undefined]).map((span, index) => [
      `${timeline}${isDefault ? ' (followed by default)' : ''}`,
      span ? `${span.from} to ${span.to}` : 'no commit known',
      index === 0 ? positions.map(({ fromLsn, toLsn }) => `${fromLsn} to ${toLsn}`).join(', ') : '',
    ]),
  );
  const faults = [
    ...reach.bases.flatMap(({ point, unusable }) => (unusable === undefined ? [] : [[point, unusable]])),
    ...reach.holes.map(({ timeline, fromLsn, toLsn, bytes }) => [
      `hole on timeline ${timeline}`,
      `${fromLsn} to ${toLsn}, ${bytesText(bytes)}`,
    ]),
    ...reach.damaged.map(({ point, reason }) => [point, `damaged: ${reason}`]),
  ];
  const title = `Reachable moments, copy ${reach.copy}`;
  return {
    moments: { title, head: ['timeline', 'times (UTC)', 'positions'], rows },
    ...(faults.length > 0 ? { faults: { title: `${title}: faults`, head: ['fault', ''], rows: faults } } : {}),
  };
}

export function numbered(texts: readonly string[]): string[][] {
  return texts.map((text, index) => [String(index + 1), text]);
}

function failureSection({ failure }: Report): ReportSection[] {
  if (!failure) return [];
  const { type, message, place, hint, expected, found } = failure;
  const rows = Object.entries({ message, place, expected, found, next: hint }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return [{ title: `Failed: ${type}`, head: ['', ''], rows }];
}

function phaseSection({ phases, rtoMs }: RestoreResult): ReportSection {
  const share = (ms: number): string => (rtoMs > 0 ? `${Math.round((ms / rtoMs) * 100)} %` : '');
  const rows = PHASES.map((phase) => [phase, spanText(phases[phase]), share(phases[phase])]);
  return { title: 'Recovery time by phase', head: ['phase', 'took', 'share'], rows };
}

function proofSection({ proof }: RestoreResult): ReportSection[] {
  return proof.checks.length > 0 ? [{ title: 'Proof', head: CHECK_HEAD, rows: checkRows(proof.checks) }] : [];
}

function planSection(plan: RecoveryPlan): ReportSection {
  const legs = plan.legs.map((leg) => `timeline ${leg.timeline}: ${leg.fromLsn} to ${leg.toLsn}`).join('; ');
  const rows = [
    ['target', describeTarget(plan.target)],
    ['base backup', `${plan.base.point}, ${plan.base.kind}, ended ${plan.base.stoppedAt} at ${plan.base.stopLsn}`],
    ...(plan.chain ? [['stands on', plan.chain.slice(0, -1).join(', ')]] : []),
    ['cluster', `system ${plan.base.systemId}, PostgreSQL ${plan.base.serverVersion}`],
    ['WAL', legs],
    ['into', `${plan.into} on ${plan.host}, port ${plan.port}`],
    ...(plan.standby ? [['then', followText(plan.standby)]] : []),
    ['reachable window', `${plan.window.from} to ${plan.window.to ?? plan.window.toLsn}`],
  ];
  return { title: 'Plan', head: ['', ''], rows };
}
