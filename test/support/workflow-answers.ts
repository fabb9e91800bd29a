import { createHash } from 'node:crypto';
import type { Activities } from '../../activities/index.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RecoveryPlan, ReplayEvidence } from '../../workflows/model/recovery.ts';
import type { Difference } from '../../workflows/model/rescue.ts';
import type { RestorePreview, SourceFacts } from '../../workflows/model/results.ts';
import type { ServiceFacts } from '../../workflows/model/service.ts';
import type { PointsVerified } from '../../workflows/model/verify-result.ts';
import type { WalVerified } from '../../workflows/model/wal-verify.ts';
import { drillAnswers } from './drill-answers.ts';
import { failoverAnswers } from './failover-answers.ts';
import { rejoinAnswers } from './rejoin-answers.ts';
import { samplePoint, sampleResult } from './sample-report.ts';
import { untilCancelled } from './until-cancelled.ts';

export { untilCancelled };

/** A source with objectives and somebody who wants to be told. */
export function factsOf(source: string, changes: Partial<SourceFacts> = {}): SourceFacts {
  return {
    ...{ source, kind: 'postgres', place: 'db.example:5432', store: 'local' },
    ...{ rtoMs: 3_600_000, rpoMs: 300_000, notify: true, searchAttributes: true },
    ...changes,
  };
}

export function pointOf(source: string): PointSummary {
  return { ...samplePoint(), source };
}

export function planOf(source: string): RecoveryPlan {
  const { plan } = sampleResult();
  return { ...plan, source, base: pointOf(source), setAside: `${plan.into}.before` };
}

function previewOf(source: string): RestorePreview {
  const plan = planOf(source);
  return { preview: true, plan, windows: [plan.window], nearest: {}, notes: [] };
}

/** Where traffic goes when a test begins. */
export const HOME = { 'db.example:5432': 100 };

/** A service with two switches, which one other than who started has to agree to. */
export function serviceOf(source: string, changes: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    ...{ service: 'web', source, listen: '*', address: 'db1.example', steps: [1, 10, 50, 100], checks: ['smoke'] },
    traffic: [
      { name: 'pool', kind: 'command', weighted: true },
      { name: 'dns', kind: 'command', weighted: true, host: 'db1' },
    ],
    approval: { of: 1, from: [], byAnother: true, withinMs: 3_600_000 },
    ...changes,
  };
}

/** Two rows of one table are gone, one has changed. */
export function differenceOf(changes: Partial<Difference> = {}): Difference {
  const sample = { missing: ['(7)', '(9)'], differing: ['(8)'], extra: [] };
  return {
    tables: [{ table: 'public.orders', key: ['id'], chosen: 40, missing: 2, differing: 1, extra: 0, sample }],
    ...{ hash: 'aa'.repeat(32), inserts: 2, updates: 0, reports: ['shop/reports/rows-1.jsonl'] },
    ...changes,
  };
}

export function pointsVerified(source: string, changes: Partial<PointsVerified> = {}): PointsVerified {
  return {
    ...{ source, points: 2, parts: 6, bytes: 80_000_000, storedBytes: 8_400_000 },
    ...{ damaged: [], damagedCount: 0, reports: [] },
    ...changes,
  };
}

export function walVerified(source: string, changes: Partial<WalVerified> = {}): WalVerified {
  return {
    ...{ source, ok: true, objects: 12, storedBytes: 4_200_000, walBytes: 160_000_000, records: 40_000 },
    ...{ timelines: 1, points: 2, faults: [], faultCount: 0, reports: [] },
    ...{ holes: [], holeCount: 0, lost: [], unusable: [], unusableCount: 0 },
    ...changes,
  };
}

const nothing = (): Promise<void> => Promise.resolve();

/** What every activity answers when nothing is wrong. */
export const answers: Activities = {
  describeSource: async ({ source }) => factsOf(source),
  checkBackup: nothing,
  awaitStreaming: nothing,
  takeBackup: async ({ source }) => pointOf(source),
  awaitWal: nothing,
  publishPoint: async ({ source }) => pointOf(source),
  discardDrafts: nothing,
  // Streams that nobody watches should cost little.
  streamWal: () => untilCancelled(2000),
  dropStreamSlot: async ({ source, stream }) => ({ slot: `lifeboat_${source}_${stream}`, found: 'dropped' }),
  planRestore: async ({ source }) => previewOf(source),
  prepareTarget: nothing,
  fetchBase: async () => sampleResult().fetch,
  replayWal: async () => sampleResult().replay as ReplayEvidence,
  openCluster: async () => sampleResult().open,
  proveCluster: async () => sampleResult().proof,
  bringOver: async () => ({
    ...{ database: 'crm_before', server: 'db.example:5432', roles: [], tables: 3, rows: 1200 },
    checks: [{ name: 'rows', ok: true, expected: '1200', found: '1200' }],
  }),
  compareRows: async () => differenceOf(),
  writeRows: async ({ tables }) => ({
    ...{ server: 'db.example:5432', xid: '4711', behind: [] },
    tables: tables.map((table) => ({ table, inserted: 2, overwritten: 0 })),
  }),
  finishRestore: nothing,
  discardRestore: async () => ({}),
  verifyPoint: async ({ source }) => ({
    ...{ point: pointOf(source), parts: 3, bytes: 40_000_000, storedBytes: 4_200_000 },
    checks: [{ name: 'parts', ok: true, expected: '3', found: '3' }],
  }),
  verifyPoints: async ({ source }) => pointsVerified(source),
  verifyWal: async ({ source }) => walVerified(source),
  compactWal: async ({ source }) => ({
    ...{ source, objects: 1, pieces: 7, faults: [], faultCount: 0, refused: [] },
  }),
  planRetention: async ({ source }) => ({
    ...{ source, keep: [], kept: 1, remove: [], removed: 2, removedBytes: 4096 },
    wal: { objects: 3, storedBytes: 4096, keepFrom: [] },
  }),
  removePoints: async () => ({ points: ['p1', 'p2'], count: 2, swept: 2, refused: [] }),
  removeWal: async () => ({ objects: 3, storedBytes: 4096, refused: [] }),
  markPoint: async ({ source, point }) => ({ source, point }),
  chooseDrillTarget: async () => ({ target: sampleResult().plan.target, rpoMs: 1000 }),
  writeReport: async ({ source }) => ({ key: `${source}/reports/1`, file: '/srv/reports/1.html', host: 'db1' }),
  notify: async () => ({ told: ['hook'], failed: [] }),
  planExtract: async ({ source, point, run, to }) => ({
    ...{ run, source, point, to, host: 'db1', chain: [point], what: { file: 'PG_VERSION' }, path: 'PG_VERSION' },
  }),
  extractFiles: async (plan) => ({ plan, files: 1, bytes: 3, parts: 1, storedBytes: 3 }),
  discardExtract: nothing,
  describeService: async ({ source }) => serviceOf(source),
  takeEpoch: async ({ atLeast }) => ({ epoch: Math.max(3, atLeast) }),
  locateTraffic: async () => ({ traffic: HOME, token: 0 }),
  moveTraffic: async () => ({ ok: true, found: 'as asked' }),
  checkService: async ({ at }) => [{ name: `smoke at ${at}`, ok: true, expected: 'exit 0', found: 'exit 0' }],
  weighRecovery: async ({ facts }) => ({
    facts,
    hash: createHash('sha256')
      .update(JSON.stringify(facts.filter(({ passing }) => passing !== true)))
      .digest('hex'),
  }),
  findDamaged: async () => ({ from: 'server' }),
  copyDamaged: async ({ source }) => pointOf(source),
  listCommits: async ({ fromLsn }) => ({
    ...{ fromLsn, total: 2, reports: ['shop/reports/lost-1.jsonl'] },
    first: [{ xid: '912', lsn: '0/4A00200', at: '2026-01-05T03:00:14.500000Z' }],
  }),
  inspectVault: async () => ({ what: 'points', sources: [] }),
  ...failoverAnswers,
  ...drillAnswers,
  ...rejoinAnswers,
};

/** A dump, which needs no WAL and no replay. */
export function dumpOf(source: string): PointSummary {
  const dump = { databases: ['crm'], tables: 3, rows: 1200, largeObjects: 0, rolePasswords: true };
  return { ...pointOf(source), startLsn: '0/3000028', stopLsn: '0/3000028', dump };
}

/** What those answer differently whose source is dumped. */
export const dumpAnswers = {
  describeSource: async ({ source }) => factsOf(source, { kind: 'postgres-logical', dumps: true }),
  takeBackup: async ({ source }) => dumpOf(source),
  publishPoint: async ({ source }) => dumpOf(source),
  planRestore: async ({ source }) => {
    const preview = previewOf(source);
    return { ...preview, plan: { ...preview.plan, base: dumpOf(source), legs: [], dump: { toolMajor: 18 } } };
  },
} satisfies Partial<Activities>;
