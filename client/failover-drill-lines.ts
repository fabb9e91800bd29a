import type { FailoverDrillResult } from '../workflows/model/failover-drill.ts';
import { describeTraffic } from '../workflows/model/traffic.ts';
import { formatBytes, formatDuration } from '../workflows/model/units.ts';
import { pairLines } from './table.ts';

/** What a failover drill measured. */
export function failoverDrillLines(result: FailoverDrillResult): string[] {
  const { service, from, to, isolation, copied, promotion, phases, objectives, checks, switches, report } = result;
  const [rto] = objectives;
  const against = rto && `${rto.ok ? 'within' : 'LONGER THAN'} the RTO ${formatDuration(rto.objectiveMs)}`;
  return [
    `${service}: a clone of ${to} was promoted and removed; ${from} is the primary as before`,
    ...pairLines([
      ['  isolation', isolation.by === 'namespace' ? `a network of its own, ${isolation.namespace}` : 'settings alone'],
      ['  copied', `${formatBytes(copied.bytes)} in ${formatDuration(phases.copy)}`],
      ['  started', `in ${formatDuration(phases.start)}`],
      [
        '  promoted',
        `in ${formatDuration(phases.promote)}, timeline ${promotion.oldTimeline} to ${promotion.timeline}`,
      ],
      ['  first write', `after ${formatDuration(phases.firstWrite)}`],
      ['  ready', `after ${formatDuration(phases.ready)}${against === undefined ? '' : `, ${against}`}`],
      ...switches.map(({ name, from: now, to: then }): [string, string] => [
        `  switch ${name}`,
        `not moved: ${describeTraffic(now)}; would be ${describeTraffic(then)}`,
      ]),
      ['  removed', `in ${formatDuration(phases.remove)}`],
      ['  report', report && `${report.file} on host ${report.host}`],
    ]),
    ...checks.map(({ name, found }) => `  ok    ${name}: ${found}`),
  ];
}
