import { touchedText } from '../workflows/model/last-good.ts';
import type { FailbackResult, RejoinResult, Salvage } from '../workflows/model/rejoin.ts';
import { formatBytes, formatDuration } from '../workflows/model/units.ts';
import { failoverLines } from './failover-lines.ts';
import { reportPairs } from './report-pairs.ts';
import { pairLines } from './table.ts';

const WAYS: Record<RejoinResult['path'], string> = {
  none: 'it did so already',
  follow: 'as it was',
  rewind: 'rewound',
  reseed: 'as a new copy',
};

/** How a node came back. */
export function rejoinLines(result: RejoinResult): string[] {
  const { service, node, primary, path, why, forkLsn, endLsn, salvage, approvals, following, report } = result;
  return [
    `${service}: ${node} follows ${primary} (${WAYS[path]})`,
    ...pairLines([
      ...why.map((each): [string, string] => ['  because', each]),
      ['  parted at', forkLsn],
      ['  ended at', endLsn],
      ...(salvage ? salvagePairs(salvage) : []),
      ['  signed off by', approvals.map(({ by }) => by).join(', ') || undefined],
      ...following.checks.map(({ name, found }): [string, string] => [`  ${name}`, found]),
      ...reportPairs(report),
    ]),
  ];
}

function salvagePairs({ commits, first, keys, bytes }: Salvage): [string, string][] {
  return [
    ['  given up', `${commits} commits`],
    ...first.map((commit): [string, string] => [`    ${commit.xid} at ${commit.lsn}`, touchedText(commit)]),
    ['  kept in the vault', `${keys.length} objects, ${formatBytes(bytes)}: ${keys.at(-1) ?? ''}`],
  ];
}

export function failbackLines({ rejoin, soak, failover, report }: FailbackResult): string[] {
  return [
    ...rejoinLines(rejoin),
    ...pairLines([
      ['  kept up for', `${formatDuration(soak.ms)}, at most ${formatBytes(soak.mostLagBytes)} behind`],
      ...reportPairs(report, 'report of all'),
    ]),
    ...failoverLines(failover),
  ];
}
