import { failure, findFailure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn } from './lsn.ts';
import type { RestoreOrder } from './orders.ts';
import type { Check, Proof, RecoveryPlan } from './recovery.ts';

/** streaming: from the primary, and from the vault what that has not any more; archive: from the vault alone. */
export const FOLLOWS = ['streaming', 'archive'] as const;
export type Follow = (typeof FOLLOWS)[number];

/** How a recovered cluster goes on as a standby; names and addresses, no secret. */
export interface StandbyPlan {
  follow: Follow;
  /** Server that it streams from; absent for archive. */
  primary?: { host: string; port: number };
  /** Replication slot there. */
  slot?: string;
  /** Program and arguments that the server runs for each WAL file of the vault, "%f" and "%p" among them. */
  fetch: string[];
}

/** What a standby was seen to do. */
export interface StandbyEvidence {
  follow: Follow;
  /** "db1:5432"; absent for archive. */
  primary?: string;
  systemId: string;
  timeline: number;
  /** Where its primary, or the vault, was when that was asked, after the standby had come up. */
  markerLsn: Lsn;
  replayedLsn: Lsn;
  /** Of pg_stat_wal_receiver; absent for archive. */
  receiver?: { status: string; timeline: number; slot?: string };
  /** A file that its restore_command brought from the vault. */
  fetched: string;
}

const SERVER = /^(?:\[[0-9A-Fa-f:.]+\](?::\d{1,5})?|[^\s:/[\]@,]+(?::\d{1,5})?|\/[^\s,]+)$/;
const SLOT = /^[a-z0-9_]{1,63}$/;

/** ConfigInvalid for what no standby can be, before anything is asked. */
export function checkStandbyOrder(order: RestoreOrder): void {
  const { follow = 'streaming', fromServer, slot } = order;
  const given = { follow: order.follow, fromServer, slot };
  const [needing] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (!order.standby) {
    if (needing === undefined) return;
    throw wrong(needing, { says: `${needing} goes with standby`, expected: 'standby', found: 'a recovery that ends' });
  }
  const ending = endOf(order);
  if (ending) {
    const says = 'a standby is the whole cluster, goes on behind the newest moment, and has no other end';
    throw wrong(ending.place, { says, expected: `no ${ending.place}`, found: ending.found });
  }
  const stream = Object.entries({ fromServer, slot }).find(([, value]) => value !== undefined);
  if (follow === 'archive' && stream) {
    const says = 'a standby that follows the archive streams from no server';
    throw wrong(stream[0], { says, expected: `no ${stream[0]}`, found: String(stream[1]) });
  }
  if (fromServer !== undefined && !SERVER.test(fromServer))
    throw wrong('fromServer', { says: 'fromServer is no server', expected: 'host:port', found: fromServer });
  if (slot !== undefined && !SLOT.test(slot))
    throw wrong('slot', { says: 'slot is no name of one', expected: 'a-z, 0-9 and _, at most 63', found: slot });
}

function endOf(order: RestoreOrder): { place: string; found: string } | undefined {
  const { target, action, timeline, onlyDatabase, intoDatabase } = order;
  if (onlyDatabase !== undefined) return { place: 'onlyDatabase', found: onlyDatabase };
  if (intoDatabase !== undefined) return { place: 'intoDatabase', found: intoDatabase };
  if (target !== undefined && target.kind !== 'latest') return { place: 'target', found: target.kind };
  if (action !== undefined) return { place: 'action', found: action };
  if (timeline !== undefined && timeline !== 'latest') return { place: 'timeline', found: String(timeline) };
  return undefined;
}

function wrong(place: string, { says, expected, found }: { says: string; expected: string; found: string }): Error {
  return failure('ConfigInvalid', says, { place, expected, found, hint: 'lifeboat restore --help' });
}

/** A proof of a standby is that of the copy, and that it follows. */
export function provenToFollow(proof: Proof, plan: RecoveryPlan, seen: StandbyEvidence | undefined): Proof {
  if (!plan.standby) return proof;
  const checks = [...proof.checks, ...followChecks(plan, seen)];
  return { ...proof, checks, ok: proof.ok && checks.every((check) => check.ok) };
}

function followChecks({ base, standby }: RecoveryPlan, seen: StandbyEvidence | undefined): Check[] {
  if (!seen) return [{ name: 'follows', ok: false, expected: 'a standby that was seen to follow', found: 'nothing' }];
  const { receiver, primary = 'the vault', markerLsn, replayedLsn } = seen;
  const checks: Check[] = [
    {
      name: 'replay passes a marker',
      ok: compareLsn(replayedLsn, markerLsn) >= 0,
      expected: `${markerLsn}, where ${primary} was after the standby had come up, or later`,
      found: replayedLsn,
    },
    {
      name: 'system identifier',
      ok: seen.systemId === base.systemId,
      expected: base.systemId,
      found: seen.systemId,
    },
    { name: 'restore_command', ok: seen.fetched !== '', expected: 'brings WAL from the vault', found: seen.fetched },
  ];
  if (standby?.follow !== 'streaming') return checks;
  const streams = receiver?.status === 'streaming' && receiver.timeline === seen.timeline;
  return [
    {
      name: 'streams from its primary',
      ok: streams && receiver.slot === standby.slot,
      expected: `streaming on timeline ${seen.timeline} from ${primary}${slotText(standby.slot)}`,
      found: receiver ? `${receiver.status} on timeline ${receiver.timeline}${slotText(receiver.slot)}` : 'no receiver',
    },
    ...checks,
  ];
}

function slotText(slot: string | undefined): string {
  return slot === undefined ? '' : `, slot ${slot}`;
}

/** What it follows, in words. */
export function followText({ follow, primary, slot }: StandbyPlan): string {
  if (!primary || follow === 'archive') return 'standby of the vault: it replays what is stored';
  return `standby of ${primary.host}:${primary.port}${slotText(slot)}, with the vault behind it`;
}

/** What a failure says when the standby had taken sessions before it: that it failed says nothing against the copy. */
export interface UpEvidence {
  tookSessions: true;
}

/** Whether the standby that this is the failure of had been up. */
export function tookSessions(error: unknown): boolean {
  const evidence = findFailure(error)?.details?.[1] as Partial<UpEvidence> | undefined;
  return evidence?.tookSessions === true;
}
