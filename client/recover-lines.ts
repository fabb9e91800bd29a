import type { PendingApproval } from '../workflows/model/approval.ts';
import type { RecoverResult } from '../workflows/model/results.ts';
import { describeTraffic } from '../workflows/model/traffic.ts';
import { formatDuration } from '../workflows/model/units.ts';
import { restoreLines } from './restore-lines.ts';
import { reportPairs } from './report-pairs.ts';
import { pairLines } from './table.ts';

/** What a recovery did that serves its clients again. */
export function recoverLines(result: RecoverResult): string[] {
  const { lastGood, lost, forensicPoint, restore, traffic, approvals, checks, rtoMs, stoppedMs, report, next } = result;
  const bad = checks.filter(({ ok }) => !ok);
  return [
    ...restoreLines(restore),
    ...pairLines([
      ['  serves', `${result.service} at ${result.address}`],
      ...traffic.map(({ name, from, to }): [string, string] => [
        `  switch ${name}`,
        `${describeTraffic(from)} to ${describeTraffic(to)}`,
      ]),
      ['  approved by', approvals.map(({ by }) => by).join(', ')],
      ['  in all', `${formatDuration(rtoMs)}, nobody served for ${formatDuration(stoppedMs)}`],
      ['  NOT WELL', bad.length > 0 ? bad.map(({ name, found }) => `${name}: ${found}`).join('; ') : undefined],
      [
        '  last good',
        lastGood && `found in ${lastGood.tried} recoveries; bad at ${lastGood.badFrom ?? 'no moment that was tried'}`,
      ],
      ['  lost', lost && `${lost.total} transactions behind ${lost.fromLsn}: ${lost.reports.join(', ') || 'none'}`],
      ['  damaged state', forensicPoint],
      ...reportPairs(report),
    ]),
    ...next.map((each) => `next: ${each}`),
  ];
}

/** What a run shows to those who decide. */
export function approvalLines(run: string, pending: PendingApproval): string[] {
  const { what, evidence, rule, given, until } = pending;
  const who = rule.from.length > 0 ? ` of ${rule.from.join(', ')}` : '';
  return [
    `${run} waits for approval: ${what}`,
    ...pairLines(evidence.facts.map(({ name, value }) => [`  ${name}`, value])),
    ...pairLines([
      ['  evidence', evidence.hash],
      ['  wanted', `${rule.of}${who}, until ${until}`],
      ['  given', given.length > 0 ? given.map(({ by, at }) => `${by} at ${at}`).join(', ') : 'none yet'],
    ]),
  ];
}
