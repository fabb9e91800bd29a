import { createHash } from 'node:crypto';
import type { Activities } from '../../activities/index.ts';
import type { Observation, Sight } from '../../workflows/model/outage.ts';
import type { ClusterFacts, NodeState, WatchFacts } from '../../workflows/model/cluster.ts';
import { untilCancelled } from './until-cancelled.ts';

const RULE = { of: 1, from: [], byAnother: true, withinMs: 3_600_000 };

/** Three that look, nothing that starts by itself. */
export const WATCH: WatchFacts = {
  observers: ['db1'],
  rules: {
    afterMs: { process: 30_000, host: 60_000, frozen: 60_000, site: 1_800_000, cut: 3_600_000 },
    ...{ flaps: { withinMs: 1_800_000, most: 2 }, pauseMs: 3_600_000, automatic: false },
  },
  ready: {
    ...{ everyMs: 900_000, lagMs: 300_000, freeBytes: 1_073_741_824 },
    ...{ drillMs: 7_948_800_000, failoverDrillMs: 7_948_800_000 },
  },
};

/** Two nodes, of which db-a serves where the switches of a test send traffic when it begins. */
export function clusterOf(service: string, changes: Partial<ClusterFacts> = {}): ClusterFacts {
  return {
    ...{ service, source: service, automatic: [], objectives: { rtoMs: 300_000, rpoMs: 10_000 } },
    nodes: [
      { name: 'db-a', site: 'east', host: 'db1', address: 'db.example', port: 5432, dataDir: '/srv/a' },
      { name: 'db-b', site: 'west', host: 'db1', address: 'db-b.example', port: 5432, dataDir: '/srv/b' },
    ],
    limits: { lagBytes: 16_777_216, outageMs: 30_000, drainMs: 5_000, transactionMs: 60_000, lookMs: 60_000 },
    fence: [{ by: 'agent-stop' }],
    approvals: { planned: RULE, unplanned: RULE, breakGlass: { ...RULE, of: 2 } },
    ...{ watch: WATCH, planHash: 'aa'.repeat(8) },
    ...changes,
  };
}

/** A third one, which stays a standby. */
export const DB_C = {
  name: 'db-c',
  site: 'north',
  host: 'db1',
  address: 'db-c.example',
  port: 5432,
  dataDir: '/srv/c',
};

const SYSTEM = '7312345678901234567';
const SETTINGS = {
  ...{ max_connections: '100', max_worker_processes: '8', max_wal_senders: '10', max_prepared_transactions: '0' },
  ...{ max_locks_per_transaction: '64', wal_log_hints: 'off', data_checksums: 'on', full_page_writes: 'on' },
  ...{ synchronous_standby_names: '', default_transaction_read_only: 'off' },
};

const ROOM = { freeBytes: 50_000_000_000, heartbeat: { at: '2026-01-05T02:59:59.500Z', ageMs: 500 } };
const SLOT = { name: 'by_hand', physical: true, active: true, status: 'reserved' };

const SEEN = { seenAt: '2026-01-05T03:00:00.000Z', by: 'db1', answers: true, systemId: SYSTEM, version: 180_001 };

/** A primary that is well. */
export function primaryState(node: string, changes: Partial<NodeState> = {}): NodeState {
  const peer = node === 'db-a' ? 'db-b' : 'db-a';
  return {
    ...{
      ...SEEN,
      node,
      running: true,
      role: 'primary' as const,
      timeline: 1,
      lsn: '0/5000060',
      settings: SETTINGS,
      epoch: 0,
    },
    ...{ senders: [{ name: peer, address: '10.0.0.2', state: 'streaming' }], busyWith: [], standbySignal: false },
    ...{ ...ROOM, slots: [SLOT] },
    reaches: [{ node: peer, ok: true, found: SYSTEM }],
    ...changes,
  };
}

/** Its standby. */
export function standbyState(node: string, changes: Partial<NodeState> = {}): NodeState {
  const peer = node === 'db-a' ? 'db-b' : 'db-a';
  return {
    ...{
      ...SEEN,
      node,
      running: true,
      role: 'standby' as const,
      timeline: 1,
      lsn: '0/5000060',
      settings: SETTINGS,
      epoch: 0,
    },
    ...{ replayedLsn: '0/5000060', held: false, standbySignal: true, ...ROOM, slots: [] },
    receiver: { status: 'streaming', timeline: 1, slot: 'by_hand', heardMsAgo: 50 },
    reaches: [{ node: peer, ok: true, found: SYSTEM }],
    ...changes,
  };
}

/** Where a server was that does not answer any more; `running` only where its own worker says so. */
export function goneState(node: string, changes: Partial<NodeState> = {}): NodeState {
  return {
    ...{ node, seenAt: SEEN.seenAt, by: 'db1', answers: false, epoch: 0 },
    trouble: { kind: 'refused', found: 'connection refused' },
    ...changes,
  };
}

/** All is well, as one observer sees it. */
export function observationBy(
  host: string,
  changes: { primary?: Partial<Sight>; standby?: Partial<Sight> } = {},
): Observation {
  const seen = { reached: 'answers' as const, timeline: 1, lsn: '0/5000060' };
  const primary: Sight = { ...seen, node: 'db-a', role: 'primary', written: 'done', running: true };
  const standby: Sight = { ...seen, node: 'db-b', role: 'standby', hears: true, running: true };
  return {
    host,
    at: SEEN.seenAt,
    sights: [
      { ...primary, ...changes.primary },
      { ...standby, ...changes.standby },
    ],
  };
}

export const END = '0/5000100';

const nothing = (): Promise<void> => Promise.resolve();

/** What every activity about nodes answers when nothing is wrong. */
export const failoverAnswers = {
  describeCluster: async ({ service }) => clusterOf(service),
  observeNode: async ({ node }) => (node === 'db-a' ? primaryState(node) : standbyState(node)),
  weighFacts: async ({ facts }) => ({
    facts,
    hash: createHash('sha256')
      .update(JSON.stringify(facts.filter(({ passing }) => passing !== true)))
      .digest('hex'),
  }),
  readSample: async ({ timeline }) => ({
    sample: { at: '2026-01-05T03:00:00.000000Z', timeline, lsn: '0/5000100', bytesPerSecond: 0 },
  }),
  samplePrimary: () => untilCancelled(200),
  readStanding: async () => ({ sampleAgeMs: 800, drillAgeMs: 86_400_000, failoverDrillAgeMs: 86_400_000 }),
  // Who has spoken is silent until there is something new.
  observeCluster: async ({ seen }) => (seen === undefined ? observationBy('db1') : untilCancelled()),
  writeMarker: async ({ node, marker }) => ({ marker, lsn: '0/5000080', timeline: node === 'db-a' ? 1 : 2 }),
  awaitFollowing: async ({ node }) => ({
    ...{ node, ok: true },
    checks: [{ name: 'streams', ok: true, expected: 'streaming', found: 'streaming' }],
  }),
  quiesceNode: async () => ({ ended: 3, left: 0 }),
  unquiesceNode: nothing,
  demoteNode: async () => ({
    ...{ state: 'shut down', timeline: 1, checkpointLsn: '0/5000088', endLsn: END, rewindable: true },
  }),
  reinstateNode: nothing,
  awaitReceived: async ({ lsn }) => ({ lsn, timeline: 1, ok: true }),
  promoteNode: async ({ node, timeline, lsn }) => ({
    ...{ node, timeline: timeline + 1, oldTimeline: timeline, forkLsn: lsn, at: '2026-01-05T03:00:01.000Z' },
  }),
  repointNode: async ({ upstream }) => ({ ok: true, found: `follows ${upstream}` }),
  checkpointNode: nothing,
  startNode: nothing,
  freezeNode: async () => ({ lsn: '0/5000100', timeline: 1 }),
  thawNode: nothing,
  fenceNode: async ({ step }) => ({ step: step.by, outcome: 'confirmed', found: 'no server runs' }),
} satisfies Partial<Activities>;
