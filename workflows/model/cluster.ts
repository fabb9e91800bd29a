import { failure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { nearestName } from './nearest.ts';
import type { OutageRules } from './outage-watch.ts';
import type { ServerRole } from './server-role.ts';
import type { ApprovalRule } from './service.ts';
import { addressText } from './traffic.ts';

/** One server of a service's cluster, as runs need to know it; names, no secrets. */
export interface NodeFacts {
  name: string;
  site: string;
  /** Host whose worker looks after it. */
  host: string;
  /** Under which clients and the other nodes reach it. */
  address: string;
  port: number;
  dataDir: string;
}

/** One rung of the ladder that keeps an old primary from serving. */
export type FenceStep =
  | { by: 'agent-stop' }
  | { by: 'instance-stop'; host?: string }
  | { by: 'command'; name: string; host?: string }
  | { by: 'traffic'; confirms: boolean }
  | { by: 'lease'; afterMs: number };

export type FailoverMode = 'planned' | 'unplanned';

/** How a cluster is looked at all the time. */
export interface WatchFacts {
  /** Hosts whose workers look. */
  observers: string[];
  rules: OutageRules;
  /** Site or node that an automatic failover goes to; absent: the standby that has most. */
  to?: string;
  /** What counts as ready, and how often that is looked at. */
  ready: {
    everyMs: number;
    lagMs: number;
    drillMs: number;
    /** Absent: of a run that began before failovers were drilled. */
    failoverDrillMs?: number;
    freeBytes: number;
  };
}

/** What a run needs to know of the cluster of a service. */
export interface ClusterFacts {
  service: string;
  source: string;
  nodes: NodeFacts[];
  limits: {
    lagBytes: number;
    outageMs: number;
    drainMs: number;
    transactionMs: number;
    /** For the worker of a host to take a task; then it counts as gone. */
    lookMs: number;
  };
  fence: FenceStep[];
  objectives: { rtoMs?: number; rpoMs?: number };
  approvals: Record<FailoverMode | 'breakGlass', ApprovalRule>;
  /** What goes ahead without an approval. */
  automatic: FailoverMode[];
  watch: WatchFacts;
  /** Hash of all that stands in the configuration about the service: what was found ready under another one is not any more. */
  planHash: string;
}

/** What pg_control says of a server that is down (manual, pg_controldata). */
export interface ControlFacts {
  /** "shut down", "shut down in recovery", "in production", ... */
  state: string;
  timeline: number;
  /** Latest checkpoint. */
  checkpointLsn: Lsn;
  /** First byte behind the last record: of a clean shutdown that of its checkpoint. Absent when it cannot be read. */
  endLsn?: Lsn;
  /** pg_rewind can be used on it. */
  rewindable: boolean;
}

/** What a server that is down wrote behind the position at which another one went on. */
export interface WalTail {
  timeline: number;
  fromLsn: Lsn;
  /** First byte behind its last whole record. */
  endLsn: Lsn;
  bytes: number;
  records: number;
  /** Transactions that were committed in it. */
  commits: number;
}

/** A login of the replication role, as a standby would do it. */
export interface Reach {
  node: string;
  ok: boolean;
  /** System identifier, or why not. */
  found: string;
}

/** A replication slot (manual, pg_replication_slots). */
export interface SlotFacts {
  name: string;
  physical: boolean;
  active: boolean;
  /** wal_status: "reserved", "extended", "unreserved" or "lost"; empty when it keeps nothing. */
  status: string;
}

/** The newest row that a writer of ours has left: how old it is says how far a standby is behind. */
export interface Heartbeat {
  /** By the clock of the primary that wrote it, ISO 8601 UTC. */
  at: string;
  /** By the clock of the node that was asked. */
  ageMs: number;
}

/** A server as it was seen: by the worker of its host, or from another one. */
export interface NodeState {
  node: string;
  /** ISO 8601 UTC. */
  seenAt: string;
  /** Host of the worker that looked. */
  by: string;
  /** A server runs on the data directory; absent: not looked at from there. */
  running?: boolean;
  /** Nobody looked: the worker that was asked did not come for it, or could not. Nothing is known by that. */
  unseen?: true;
  /** It takes sessions and answers them in time. */
  answers: boolean;
  /** Why it does not: silent takes a connection and says nothing; denied lives, and takes no session of ours. */
  trouble?: { kind: 'refused' | 'silent' | 'denied' | 'other'; found: string };
  role?: ServerRole;
  systemId?: string;
  /** server_version_num */
  version?: number;
  timeline?: number;
  /** Primary: flushed. Standby: received or replayed, whatever is more. */
  lsn?: Lsn;
  replayedLsn?: Lsn;
  /** Replay is paused, or delayed on purpose. */
  held?: boolean;
  /** `skewMs`: by so much its clock is ahead of its primary's, with the way of a message in it. */
  receiver?: { status: string; timeline: number; slot?: string; heardMsAgo?: number; skewMs?: number };
  /** Standbys that stream from it: application_name and state. */
  senders?: { name: string; address: string; state: string }[];
  settings?: Record<string, string>;
  /** What a switchover would break or wait for, in words. */
  busyWith?: string[];
  reaches?: Reach[];
  heartbeat?: Heartbeat;
  slots?: SlotFacts[];
  /** Free on the disk of its data directory; absent: not looked at from there. */
  freeBytes?: number;
  /** standby.signal stands in its data directory; absent: not looked at from there. */
  standbySignal?: boolean;
  /** Only where it is down and was looked at by its own worker. */
  control?: ControlFacts;
  /** The same, and only where it was asked for. */
  tail?: WalTail;
  /** The highest number that a run has left there; 0 before the first. */
  epoch: number;
}

export function nodeAddress({ address: host, port }: NodeFacts): string {
  return addressText({ host, port });
}

/** Slot that `standby` uses at its primary. */
export function peerSlot(standby: string): string {
  return `lifeboat_${standby.replaceAll('-', '_')}`.slice(0, 63);
}

const CLONE = '/drill';

/** What tasks call the clone of a node: a worker that knows nothing of clones knows no node of that name, and touches none. */
export function cloneName(node: string): string {
  return `${node}${CLONE}`;
}

/** Name of the node whose clone is meant; undefined when it is no clone. */
export function clonedNode(name: string): string | undefined {
  return name.endsWith(CLONE) ? name.slice(0, -CLONE.length) : undefined;
}

/** The node that `to` names: itself, or the one of a site. ConfigInvalid with the nearest name. */
export function candidateOf({ service, nodes }: ClusterFacts, to: string): NodeFacts {
  const found = nodes.find(({ name, site }) => site === to || name === to);
  if (found) return found;
  const known = nodes.map(({ site }) => site);
  const near = nearestName(to, [...known, ...nodes.map(({ name }) => name)]);
  throw failure('NotFound', `service ${service} has no site ${to}`, {
    place: `services.${service}.cluster.nodes`,
    expected: `one of ${known.join(', ')}`,
    found: to,
    hint: near === undefined ? 'lifeboat config explain' : `did you mean ${near}?`,
  });
}

/** "db-a is a primary on timeline 3 at 0/5000060", "db-b: connection refused". */
export function describeNode(state: NodeState): string {
  const { node, answers, role, timeline, lsn, trouble, running, control } = state;
  if (answers) return `${node} is a ${role} on timeline ${timeline} at ${lsn}`;
  if (running === false) return `${node} is down${control ? `: ${control.state} on timeline ${control.timeline}` : ''}`;
  return `${node} does not answer: ${trouble?.found ?? 'nothing is known'}`;
}
