import type { ApprovalRule } from './service.ts';

/** One line of what a decision rests on. */
export interface Fact {
  name: string;
  value: string;
  /** Shown as it was at the look, and no part of what is approved: it may change by itself. */
  passing?: true;
}

/** What is shown to those who decide, and the SHA-256 over it: an approval is for these facts and for no others. */
export interface Evidence {
  facts: Fact[];
  /** 64 hexadecimal digits. */
  hash: string;
}

export interface Approval {
  by: string;
  at: string;
  /** Of the evidence that they saw. */
  hash: string;
}

/** An approval that a run waits for. */
export interface PendingApproval {
  /** What happens when it is given. */
  what: string;
  evidence: Evidence;
  rule: ApprovalRule;
  /** Who started the run. */
  initiator: string;
  given: Approval[];
  /** ISO 8601 UTC; then it counts as refused. */
  until: string;
}

/** What somebody says to a run that waits. */
export interface ApproveMessage {
  by: string;
  hash: string;
}

export interface RefuseMessage {
  by: string;
  reason: string;
}

/** Digits of a hash that a person types. */
const SHORTEST_HASH = 8;
const LONGEST_NAME = 200;

/** Why an approval does not count; undefined when it does. */
export function approvalProblem(pending: PendingApproval | undefined, message: ApproveMessage): string | undefined {
  if (!pending) return 'nothing waits for an approval now';
  const { by, hash } = message;
  const stranger = strangerProblem(pending, by);
  if (stranger !== undefined) return stranger;
  if (typeof hash !== 'string' || hash.length < SHORTEST_HASH || !pending.evidence.hash.startsWith(hash))
    return `the evidence is another one now: ${pending.evidence.hash.slice(0, SHORTEST_HASH)}; look at it again`;
  if (pending.given.some((each) => each.by === by)) return `${by} has approved already`;
  const { rule, initiator } = pending;
  if (rule.byAnother && rule.of === 1 && by === initiator) return `${by} started this run: another one has to approve`;
  return undefined;
}

/** Why a refusal does not count; undefined when it does. Who started the run may always take it back. */
export function refusalProblem(pending: PendingApproval | undefined, message: RefuseMessage): string | undefined {
  if (!pending) return 'nothing waits for an approval now';
  const { by, reason } = message;
  if (typeof reason !== 'string' || reason.trim() === '') return 'a refusal needs a reason';
  return by === pending.initiator ? undefined : strangerProblem(pending, by);
}

function strangerProblem({ rule }: PendingApproval, by: unknown): string | undefined {
  if (typeof by !== 'string' || by.trim() === '' || by.length > LONGEST_NAME) return 'it does not say who speaks';
  if (rule.from.length === 0 || rule.from.includes(by)) return undefined;
  return `${by} is not one of ${rule.from.join(', ')}`;
}

/** Enough people have approved, and not who started the run alone. */
export function isApproved({ rule, given, initiator }: PendingApproval): boolean {
  if (given.length < rule.of) return false;
  return !rule.byAnother || given.some(({ by }) => by !== initiator);
}
