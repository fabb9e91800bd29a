import type { FailoverMode, NodeState } from './cluster.ts';
import type { Loss } from './failover-loss.ts';
import { describeLoss } from './failover-loss.ts';
import { formatDuration } from './units.ts';

export const FENCE_OUTCOMES = ['confirmed', 'unconfirmed', 'impossible'] as const;
export type FenceOutcome = (typeof FENCE_OUTCOMES)[number];

/** What one rung of the ladder brought. */
export interface FenceResult {
  step: string;
  outcome: FenceOutcome;
  /** What was seen. */
  found: string;
}

/** What has happened to a primary, as far as several observers can tell. */
export type Outage = 'serving' | 'stopped' | 'frozen' | 'unreachable' | 'overloaded' | 'unknown';

export interface Diagnosis {
  outage: Outage;
  /** Half of those who were asked or more have looked, none sees it serve, and its standby does not hear of it. */
  agreed: boolean;
  why: string[];
}

/** A keepalive of a primary that lives comes more often than this, where anything is written. */
const HEARD_MS = 5_000;

/** It streams, and has heard of its primary a moment ago. */
export function hearsPrimary(
  receiver: Pick<NonNullable<NodeState['receiver']>, 'status' | 'heardMsAgo'> | undefined,
): boolean {
  return receiver?.status === 'streaming' && (receiver.heardMsAgo ?? 0) < HEARD_MS;
}

/**
 * From looks of several observers at the primary (its own worker, the candidate's, a third), and the word of the candidate and of other
 * standbys: one observer that gets an answer, or one standby that hears it, outweighs all others. A look that did not take place is no
 * sign that it is gone.
 */
export function diagnose(
  primary: readonly NodeState[],
  candidate: NodeState,
  standbys: readonly NodeState[] = [],
): Diagnosis {
  const why = primary.map(describeLook);
  const looks = primary.filter(({ unseen }) => !unseen);
  const isSeen = looks.length > 0 && looks.length * 2 >= primary.length;
  if (!isSeen) why.push(`only ${looks.length} of ${primary.length} looks took place`);
  const hearing = [candidate, ...standbys].filter(({ receiver }) => hearsPrimary(receiver));
  const hears = hearing.length > 0;
  const who = hearing.map(({ node }) => node).join(', ') || candidate.node;
  why.push(`${who} ${hears ? 'hears' : 'does not hear'} its primary`);
  const serves = primary.some(({ answers, role, trouble }) =>
    answers ? role === 'primary' : trouble?.kind === 'denied',
  );
  const down = primary.some(({ running }) => running === false);
  const outage = serves ? 'serving' : down ? 'stopped' : isSeen ? troubleOf(looks) : 'unknown';
  // A server that is seen not to run cannot be heard: what the receiver says is older than that.
  const agreed = !serves && (down || (isSeen && !hears));
  return { outage, agreed, why };
}

function describeLook({ by, unseen, answers, role, trouble, running }: NodeState): string {
  if (answers) return `seen from ${by}: a ${role} that answers`;
  const found = trouble?.found ?? 'nothing';
  if (unseen) return `not looked at from ${by === 'any' ? 'any other host' : by}: ${found}`;
  return `seen from ${by}: ${running === false ? 'no server runs' : found}`;
}

function troubleOf(primary: readonly NodeState[]): Outage {
  if (primary.some(({ trouble }) => trouble?.kind === 'silent')) return 'frozen';
  return primary.some(({ running }) => running === true) ? 'overloaded' : 'unreachable';
}

/** What lets a promotion go ahead. */
export type Permission = 'automatic' | 'approval' | 'break-glass';

export interface Verdict {
  permission: Permission;
  /** Risks that somebody has to take on, in words; empty unless it is break-glass. */
  risks: string[];
}

export interface VerdictQuestion {
  fence: readonly FenceResult[];
  loss: Loss;
  rpoMs?: number | undefined;
  automatic: readonly FailoverMode[];
  /** Switches that did not answer. */
  away?: readonly string[];
}

/** The decision table of an unplanned failover. */
export function decide({ fence, loss, rpoMs, automatic, away = [] }: VerdictQuestion): Verdict {
  const risks: string[] = [];
  if (!isFenced(fence)) risks.push('the old primary may still take writes: two primaries, and what it takes is lost');
  if (!loss.known) risks.push(`what is lost is ${describeLoss(loss)}`);
  else if (rpoMs === undefined) risks.push(`lost is ${describeLoss(loss)}, and no RPO says how much may be`);
  else if (loss.mostMs > rpoMs) risks.push(`lost is ${describeLoss(loss)}, above the RPO of ${formatDuration(rpoMs)}`);
  if (risks.length > 0) return { permission: 'break-glass', risks };
  // Whose clients cannot be sent on is for a person to weigh.
  return { permission: automatic.includes('unplanned') && away.length === 0 ? 'automatic' : 'approval', risks };
}

export function isFenced(fence: readonly FenceResult[]): boolean {
  return fence.some(({ outcome }) => outcome === 'confirmed');
}
