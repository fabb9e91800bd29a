import { describeTail } from '../workflows/model/failover-loss.ts';
import { touchedText } from '../workflows/model/last-good.ts';
import type {
  FailbackPreview,
  FailbackResult,
  RejoinPreview,
  RejoinResult,
  Salvage,
} from '../workflows/model/rejoin.ts';
import { formatBytes, formatDuration } from '../workflows/model/units.ts';
import { checkLines, failoverLines, stepLines } from './failover-lines.ts';
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

const WOULD: Record<RejoinResult['path'], string> = {
  none: 'follows already',
  follow: 'would follow as it is',
  rewind: 'would be rewound',
  reseed: 'would become a new copy',
};

/** What a rejoin would do, and why. */
export function rejoinPreviewLines(preview: RejoinPreview): string[] {
  const { service, node, primary, path, why, forkLsn, endLsn, givesUpFromLsn, givesUp, untold, checks, steps } =
    preview;
  const says = path === undefined ? 'CANNOT be brought back' : WOULD[path];
  return [
    `${service}: ${node} ${says} (primary: ${primary}); nothing was touched`,
    ...checkLines(checks),
    ...pairLines([
      ...why.map((each): [string, string] => ['  because', each]),
      ['  parted at', forkLsn],
      ['  ends at', endLsn],
      ['  gives up', givesUpFromLsn && `from ${givesUpFromLsn}: ${givesUp ? describeTail(givesUp) : 'how much is not known before it is down'}`], // prettier-ignore
      ['  gives up', untold && 'what nobody can list: its WAL of that is gone'],
    ]),
    ...stepLines(steps),
  ];
}

/** The way back, the soak, and the switch. */
export function failbackPreviewLines({ service, node, ok, rejoin, soak, plan, checks }: FailbackPreview): string[] {
  return [
    `${service} ${ok ? 'can' : 'CANNOT'} go back to ${node}; nothing was touched`,
    ...rejoinPreviewLines(rejoin),
    `then ${node} has to be at most ${formatBytes(soak.lagBytes)} behind for ${formatDuration(soak.ms)} without a break`,
    `then it is switched over from ${plan.from} to ${plan.to}${checks ? '' : ', checked once it is a standby'}`,
    ...checkLines(checks ?? []),
    ...stepLines(plan.steps),
  ];
}
