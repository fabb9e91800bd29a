import { getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import { refreshSignal } from '../messages.ts';
import type { Approval, Evidence } from '../model/approval.ts';
import { CHECK_HEAD, checkRows } from '../model/check-rows.ts';
import type { NodeFacts } from '../model/cluster.ts';
import type { Following } from '../model/failover.ts';
import { failure } from '../model/failure.ts';
import { touchedText } from '../model/last-good.ts';
import { workflowId } from '../model/names.ts';
import type { OldNode, RejoinChoice, Salvage, WalTrace } from '../model/rejoin.ts';
import type { ReportSection } from '../model/report.ts';
import { formatBytes } from '../model/units.ts';
import type { Approvals } from './approval.ts';
import type { BegunService } from './begin-service.ts';
import type { Compensations } from './conclude.ts';
import type { Mover, Said } from './failing-over.ts';

/** What the way back of a node has in its hands. */
export interface Rejoining extends BegunService<{ service: string; by: string }> {
  node: NodeFacts;
  approvals: Approvals;
  undo: Compensations;
  said: RejoinSaid;
}

/** What is known so far. */
export interface RejoinSaid {
  /** From here on something is touched. */
  begun?: true;
  why: string[];
  choice?: RejoinChoice;
  salvage?: Salvage;
  evidence?: Evidence;
  approvals?: Approval[];
  following?: Following;
  steps: Said['steps'];
}

/** The primary is known, and the number of the run is taken. */
export interface Returning extends Rejoining {
  primary: NodeFacts;
  mover: Mover;
}

/** Both sides, and what follows from them. */
export interface Found {
  old: OldNode;
  now: WalTrace;
  choice: RejoinChoice;
}

/** A failover that is not over must not meet a number above its own. Only one that runs takes a signal. */
export async function refuseDuringFailover(service: string): Promise<void> {
  const id = workflowId.failover(service);
  try {
    await getExternalWorkflowHandle(id).signal(refreshSignal);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return;
  }
  throw failure('Precondition', `a failover of ${service} is going on`, {
    place: id,
    expected: 'none',
    found: 'it is running',
    hint: `lifeboat status ${id} --follow; start again when it is over`,
  });
}

/** What is given up, as people are shown it. */
export function salvageRows(salvage: Salvage): [string, string][] {
  const { commits, first, timeline, fromLsn, endLsn, keys, bytes, hash } = salvage;
  const more = commits - first.length;
  return [
    [
      'GIVEN UP',
      `${commits} commits on timeline ${timeline}, from ${fromLsn} to ${endLsn ?? 'an end that is not known'}`,
    ],
    ...first.map((commit): [string, string] => [
      `commit ${commit.xid} at ${commit.lsn}`,
      `${commit.at ?? ''} ${touchedText(commit)}`.trim(),
    ]),
    ...(more > 0 ? [['further commits', String(more)] as [string, string]] : []),
    ['kept in the vault', `${keys.length} objects, ${formatBytes(bytes)}, SHA-256 ${hash}; ${keys.at(-1) ?? ''}`],
  ];
}

export function rejoinSections({ choice, why, salvage, following }: RejoinSaid): ReportSection[] {
  const rows = (title: string, head: string[], lines: string[][]): ReportSection => ({ title, head, rows: lines });
  return [
    ...(choice ? [rows('Way back', ['', ''], [['chosen', choice.path], ...why.map((each) => ['', each])])] : []),
    ...(salvage ? [rows('What only it had', ['', ''], salvageRows(salvage))] : []),
    ...(following ? [rows(`${following.node} follows`, CHECK_HEAD, checkRows(following.checks))] : []),
  ];
}
