import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApproveMessage, PendingApproval, RefuseMessage } from './model/approval.ts';
import type { AckMessage, Acknowledged, Carried } from './model/notice.ts';
import type { Phase, RestoreResult } from './model/recovery.ts';
import type { Readiness } from './model/readiness.ts';
import type { BaseStart } from './model/wal-hole.ts';

/** What a run answers when asked how far it is; the same for every workflow. */
export interface RunProgress {
  workflow: string;
  source: string;
  /** Phase or step of now, in words. */
  step: string;
  outcome: 'running' | 'done' | 'failed' | 'cancelled';
  startedAt: string;
  timeline: { at: string; what: string }[];
  /** Restores and drills only. */
  rto?: { objectiveMs: number; elapsedMs: number; warned: boolean; escalated: boolean };
  phases?: Partial<Record<Phase, number>>;
  /** What a person must do, when the run waits for one or degraded: plain words with the command. */
  attention?: string;
  /** What it waits for somebody to approve. */
  approval?: PendingApproval;
  result?: RestoreResult;
}

/** The newest look of a run (watch) at whether its service could be failed over; null before the first. */
export const readinessQuery = defineQuery<Readiness | null>('readiness');

export const progressQuery = defineQuery<RunProgress>('progress');

/**
 * Somebody agrees to what the run shows (`approval` of its progress), named by the hash of what they saw, or at least its
 * first eight digits. Refused at once, as a failed update, when nothing waits, the evidence is another one by now, they may not,
 * or have done so already. A repeat after a lost reply is refused with "has approved already".
 */
export const approveUpdate = defineUpdate<PendingApproval, [ApproveMessage]>('approve');

/** Somebody says no: the run takes back what it did and ends as Refused. */
export const refuseUpdate = defineUpdate<void, [RefuseMessage]>('refuse');

/**
 * Somebody is at it: nobody else is told of what the run has told so far, and who was told hears so. Refused at once when nothing
 * waits for it. From the Temporal UI: {"by":"anna"}.
 */
export const ackUpdate = defineUpdate<Acknowledged, [AckMessage]>('ack');

/** Gives what a run leaves open to what earlier runs of its id have left (notices). */
export const carrySignal = defineSignal<[Carried]>('carry');

/** What a run left open (notices) is over, or the one thing of it that is named. */
export const overSignal = defineSignal<[group?: string]>('over');

/** Makes a long-lived run (wal) end its present attempt cleanly and start afresh: new config, new key, new host. */
export const refreshSignal = defineSignal('refresh');

/**
 * Tells a stream (wal) that a base was published and where it begins: a hole in front of it keeps nobody from a restore
 * any more, one behind that position stays open. Without a base, as a person sends it from the Temporal UI, it says that
 * somebody has looked, and the hole that is shown counts as closed; one that was not passed yet is told again.
 */
export const newBaseSignal = defineSignal<[base?: BaseStart]>('newBase');
