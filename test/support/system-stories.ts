import assert from 'node:assert/strict';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadSigners } from '../../activities/config/index.ts';
import { isAlive } from '../../activities/io/postgres/server.ts';
import { ACTIVITY_NAMES } from '../../activities/index.ts';
import type { Activities } from '../../activities/index.ts';
import { verifyReports } from '../../activities/verify-report.ts';
import { waitFor } from '../../workers/dev/demo/wait-for.ts';
import { refreshSignal } from '../../workflows/messages.ts';
import type { ExtractResult } from '../../workflows/model/contents.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { HoldResult, RetentionResult } from '../../workflows/model/retention-result.ts';
import type { DrillResult, InspectAnswer, VerifyResult } from '../../workflows/model/results.ts';
import { duringFailoverDrill } from './system-failover-drill.ts';
import { duringFailover, duringTakenBack, duringUnplanned, duringWatch } from './system-failover.ts';
import { duringRejoin } from './system-rejoin.ts';
import { duringBringOver, duringRescue } from './system-rescue.ts';
import type { CompactResult, VerifyAllResult } from '../../workflows/model/verify-result.ts';
import { duringSurplus } from './system-surplus.ts';
import { duringTakeOver } from './system-take-over.ts';
import type { System, Tenant } from './system.ts';
import { recoveredIn } from './system.ts';
import { until } from './system-until.ts';
import { assertHolds, assertRestorable, assertTidy, backUp, killedBy, survive } from './system-survival.ts';
import { inOnePiece, keysOf, shippedTo } from './system-vault.ts';
import type { Death, Side } from './victim.ts';
import { HELD } from './victim.ts';

/** What the stories of one file share. */
export interface Stage {
  system: System;
  /** A published point of SHOP, whose WAL goes on being shipped; absent where every story makes its own. */
  shop?: PointSummary;
  /** Address of a webhook, and what it was told. */
  hook?: { origin: string; heard: string[] };
}

export const SHOP = 'shop';

export type Tell = (stage: Stage, activity: keyof Activities, deaths: readonly Death[]) => Promise<void>;

export interface Story {
  /** backup: on a source of its own that it backs up. The others: on SHOP, which is there. */
  about: 'backup' | 'restore' | 'proof' | 'recover' | 'failover' | 'rejoin';
  tell: Tell;
  sides?: readonly Side[];
}

const BOTH: readonly Side[] = ['before', 'after'];
const WITH_STORE: readonly Side[] = ['before', 'published', 'after'];

/** For every activity a run that gets to it. */
export const STORIES: Readonly<Record<keyof Activities, Story>> = {
  describeSource: { about: 'backup', tell: duringBackup },
  checkBackup: { about: 'backup', tell: duringBackup },
  awaitStreaming: { about: 'backup', tell: duringBackup },
  takeBackup: { about: 'backup', tell: duringBackup, sides: WITH_STORE },
  awaitWal: { about: 'backup', tell: duringBackup },
  publishPoint: { about: 'backup', tell: duringBackup, sides: WITH_STORE },
  discardDrafts: { about: 'backup', tell: duringCancelledBackup },
  streamWal: { about: 'backup', tell: duringStream, sides: WITH_STORE },
  dropStreamSlot: { about: 'backup', tell: duringSurplus },
  planRestore: { about: 'restore', tell: duringRestore },
  prepareTarget: { about: 'restore', tell: duringRestore },
  fetchBase: { about: 'restore', tell: duringRestore },
  replayWal: { about: 'restore', tell: duringRestore },
  openCluster: { about: 'restore', tell: duringRestore },
  proveCluster: { about: 'restore', tell: duringRestore },
  finishRestore: { about: 'restore', tell: duringRestore },
  bringOver: { about: 'proof', tell: duringBringOver },
  compareRows: { about: 'proof', tell: duringRescue },
  writeRows: { about: 'proof', tell: duringRescue },
  writeReport: { about: 'proof', tell: duringRestore, sides: WITH_STORE },
  notify: { about: 'proof', tell: duringLateRestore },
  discardRestore: { about: 'proof', tell: duringDrill },
  chooseDrillTarget: { about: 'proof', tell: duringDrill },
  verifyPoint: { about: 'proof', tell: duringVerify },
  verifyPoints: { about: 'proof', tell: duringVerifyAll },
  verifyWal: { about: 'proof', tell: duringVerifyAll },
  compactWal: { about: 'proof', tell: duringCompact },
  planRetention: { about: 'backup', tell: duringRetention },
  removePoints: { about: 'backup', tell: duringRetention, sides: WITH_STORE },
  removeWal: { about: 'backup', tell: duringRetention },
  markPoint: { about: 'proof', tell: duringHold, sides: WITH_STORE },
  inspectVault: { about: 'proof', tell: duringInspect },
  planExtract: { about: 'proof', tell: duringExtract },
  extractFiles: { about: 'proof', tell: duringExtract },
  discardExtract: { about: 'proof', tell: duringExtract },
  describeService: { about: 'recover', tell: duringTakeOver },
  takeEpoch: { about: 'recover', tell: duringTakeOver, sides: WITH_STORE },
  locateTraffic: { about: 'recover', tell: duringTakeOver },
  moveTraffic: { about: 'recover', tell: duringTakeOver },
  checkService: { about: 'recover', tell: duringTakeOver },
  weighRecovery: { about: 'recover', tell: duringTakeOver },
  listCommits: { about: 'recover', tell: duringTakeOver },
  findDamaged: { about: 'recover', tell: duringTakeOver },
  copyDamaged: { about: 'recover', tell: duringTakeOver, sides: WITH_STORE },
  describeCluster: { about: 'failover', tell: duringFailover },
  weighFacts: { about: 'failover', tell: duringFailover },
  observeNode: { about: 'failover', tell: duringFailover },
  writeMarker: { about: 'failover', tell: duringFailover },
  awaitFollowing: { about: 'failover', tell: duringFailover },
  quiesceNode: { about: 'failover', tell: duringFailover },
  demoteNode: { about: 'failover', tell: duringFailover },
  awaitReceived: { about: 'failover', tell: duringFailover },
  promoteNode: { about: 'failover', tell: duringFailover },
  repointNode: { about: 'failover', tell: duringFailover },
  checkpointNode: { about: 'failover', tell: duringFailover },
  startNode: { about: 'failover', tell: duringFailover },
  reinstateNode: { about: 'failover', tell: duringTakenBack },
  unquiesceNode: { about: 'failover', tell: duringTakenBack },
  readSample: { about: 'failover', tell: duringUnplanned },
  freezeNode: { about: 'failover', tell: duringUnplanned },
  fenceNode: { about: 'failover', tell: duringUnplanned },
  thawNode: { about: 'failover', tell: duringUnplanned },
  samplePrimary: { about: 'failover', tell: duringWatch },
  observeCluster: { about: 'failover', tell: duringWatch },
  readStanding: { about: 'failover', tell: duringWatch },
  makeClone: { about: 'failover', tell: duringFailoverDrill },
  startClone: { about: 'failover', tell: duringFailoverDrill },
  checkClone: { about: 'failover', tell: duringFailoverDrill },
  removeClone: { about: 'failover', tell: duringFailoverDrill },
  quarantineNode: { about: 'rejoin', tell: duringRejoin },
  traceWal: { about: 'rejoin', tell: duringRejoin },
  examineNode: { about: 'rejoin', tell: duringRejoin },
  salvageNode: { about: 'rejoin', tell: duringRejoin },
  rewindNode: { about: 'rejoin', tell: duringRejoin },
  reseedNode: { about: 'rejoin', tell: duringRejoin },
  prepareStandby: { about: 'rejoin', tell: duringRejoin },
  holdSlot: { about: 'rejoin', tell: duringRejoin },
  tidyNode: { about: 'rejoin', tell: duringRejoin },
};

/** Runs the story of an activity with a death at each side of it, one after the other. */
export function tellStory(stage: Stage, activity: keyof Activities): Promise<void> {
  const { tell, sides = BOTH } = STORIES[activity];
  return tell(
    stage,
    activity,
    sides.map((side) => ({ side, activity })),
  );
}

/** Names of the activities that have a story about something. */
export function storiesAbout(about: Story['about']): (keyof Activities)[] {
  return ACTIVITY_NAMES.filter((name) => STORIES[name].about === about);
}

/** A published point of SHOP, whose WAL is shipped from now on. */
export async function openShop(system: System): Promise<PointSummary> {
  const home = await system.tenant({ name: 'home', source: SHOP });
  await home.startWorker();
  return backUp(home);
}

function ownTenant({ system }: Stage, activity: string): Promise<Tenant> {
  const name = activity.toLowerCase();
  return system.tenant({ name, source: name });
}

async function duringBackup(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await ownTenant(stage, activity);
  const { source } = tenant;
  const { result } = await tenant.start<PointSummary>('backup', { source }, workflowId.backup(source));
  await survive(tenant, deaths, result);
  assert.equal((await result).kind, 'full');
  await assertTidy(tenant);
  await assertRestorable(tenant);
}

/** The stream ends only when it is told to. */
async function duringStream(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await ownTenant(stage, activity);
  const { source } = tenant;
  const { result } = await tenant.start<PointSummary>('backup', { source }, workflowId.backup(source));
  const [last, ...early] = [...deaths].reverse();
  assert.ok(last?.side === 'after');
  for (const death of early.reverse()) await killedBy(await tenant.startWorker({ dies: death }), death, result);
  const worker = await tenant.startWorker({ dies: last });
  await result;
  const stream = stage.system.client.workflow.getHandle(workflowId.wal(source));
  await stream.signal(refreshSignal);
  await killedBy(worker, last, stream.result());
  await tenant.startWorker();
  await assertRestorable(tenant);
  await assertTidy(tenant);
}

/** Cancelled when its base is taken: nothing of it stays, and the next one is as good as any. */
async function duringCancelledBackup(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await ownTenant(stage, activity);
  const { source } = tenant;
  const { handle, result } = await tenant.start('backup', { source }, workflowId.backup(source));
  const [first, ...others] = deaths;
  assert.ok(first);
  const holder = await tenant.startWorker({ holds: 'takeBackup', dies: first });
  const { signal } = new AbortController();
  await waitFor({ file: holder.logFile, text: HELD, ended: holder.exited, signal });
  await handle.cancel();
  await killedBy(holder, first, result);
  await survive(tenant, others, result);
  await assert.rejects(result, { name: 'WorkflowFailedError', message: 'Workflow execution cancelled' });
  await assertTidy(tenant);
  await backUp(tenant);
  await assertRestorable(tenant);
}

/** Of two points the newer one stays, whole and restorable, and of the other nothing. */
async function duringRetention(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = activity.toLowerCase();
  const retention = { window: '0s', fulls: 1 };
  const tenant = await stage.system.tenant({ name, source: name, more: { retention } });
  const { source, system } = tenant;
  const worker = await tenant.startWorker();
  const old = await backUp(tenant);
  const kept = await backUp(tenant);
  worker.kill('SIGTERM');
  await worker.exited;
  const { result } = await tenant.start<RetentionResult>('retention', { source }, workflowId.retention(source));
  await survive(tenant, deaths, result);
  const answer = await result;
  assert.ok(!answer.dryRun);
  assert.deepEqual(answer.preview.remove.map(({ point }) => point), [old.point]); // prettier-ignore
  const left = await keysOf(system.vault, `${source}/points`);
  assert.deepEqual(left.filter((key) => key.includes(old.point)), [`${source}/points/${old.point}/manifest`]); // prettier-ignore
  assert.ok(left.some((key) => key.endsWith(`${kept.point}/p000001`)));
  assert.deepEqual(await keysOf(system.vault, `${source}/use`), []);
  await assertTidy(tenant);
  await assertRestorable(tenant);
}

/** What is said of a hold is true: the point is held, with this reason. */
async function duringHold(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  assert.ok(stage.shop);
  const { point } = stage.shop;
  const order = { source: SHOP, point, reason: 'case 12' };
  const { result } = await tenant.start<HoldResult>('hold', order, workflowId.hold(SHOP, point));
  await survive(tenant, deaths, result);
  assert.equal((await result).held?.reason, 'case 12');
  const keys = await keysOf(stage.system.vault, `${SHOP}/points/${point}`);
  assert.ok(keys.includes(`${SHOP}/points/${point}/hold`));
}

function shopTenant({ system }: Stage, activity: string, more: Record<string, unknown> = {}): Promise<Tenant> {
  return system.tenant({ name: activity.toLowerCase(), source: SHOP, ...more });
}

async function duringRestore(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  await restoreAs(await shopTenant(stage, activity), deaths);
}

/** A recovery that misses its objective, which people are told about. */
async function duringLateRestore(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { hook } = stage;
  assert.ok(hook);
  const late = { more: { objectives: { rto: '1s' }, notify: ['hook'] } };
  const top = { notifiers: { hook: { kind: 'webhook', url: hook.origin } } };
  await restoreAs(await shopTenant(stage, activity, { ...late, top }), deaths);
  // What was on its way when the run ended is told from outside of it.
  await until('people are told', () => hook.heard.some((body) => body.includes('is missed')) || undefined);
}

async function restoreAs(tenant: Tenant, deaths: readonly Death[]): Promise<void> {
  const { system, source } = tenant;
  const mark = await system.orders.mark(system.server);
  await shippedTo(system.vault, source, mark.lsn);
  const id = `${workflowId.restore(source)}/${deaths[0]?.activity}`;
  const { result } = await tenant.start<RestoreResult>('restore', { source }, id);
  await survive(tenant, deaths, result);
  await assertHolds(tenant, await result, mark);
  // Whichever attempt wrote which of its files: they fit together.
  const keys = await loadSigners([join(system.stack.dir, 'keys/signing.pub')]);
  const [report, ...others] = await verifyReports(join(tenant.scratch, 'reports'), { keys });
  assert.deepEqual([report?.problems, others], [[], []]);
}

/** Its copy is gone, server and folder, whatever died on the way. */
async function duringDrill(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  const id = `${workflowId.drill(SHOP)}/${activity}`;
  const { result } = await tenant.start<DrillResult>('drill', { source: SHOP }, id);
  await survive(tenant, deaths, result);
  const { restore, cleaned } = await result;
  assert.equal(restore.proof.ok, true);
  assert.equal(cleaned, true);
  assert.deepEqual(await recoveredIn(tenant), []);
  assert.equal(isAlive(restore.open.pid), false);
}

async function duringVerify(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  assert.ok(stage.shop);
  const { point, parts } = stage.shop;
  const { result } = await tenant.start<VerifyResult>(
    'verify',
    { source: SHOP, point },
    workflowId.verify(SHOP, point),
  );
  await survive(tenant, deaths, result);
  const verified = await result;
  assert.equal(verified.parts, parts);
  assert.ok(verified.checks.every(({ ok }) => ok));
}

/** Everything is read once, and all of it is good. */
async function duringVerifyAll(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  const id = `${workflowId.verifyAll(SHOP)}/${activity}`;
  const { result } = await tenant.start<VerifyAllResult>('verifyAll', { source: SHOP }, id);
  await survive(tenant, deaths, result);
  const { ok, points, wal } = await result;
  assert.ok(ok);
  assert.deepEqual([points.points, points.parts, points.bytes], [1, stage.shop?.parts, stage.shop?.bytes]);
  assert.ok(wal && wal.records > 0 && wal.holeCount === 0);
}

/** Nothing of the WAL is gone, whatever died on the way. */
async function duringCompact(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  const { result } = await tenant.start<CompactResult>('compactWal', { source: SHOP, open: true }, workflowId.compactWal(SHOP)); // prettier-ignore
  await survive(tenant, deaths, result);
  assert.equal((await result).faultCount, 0);
  await inOnePiece(stage.system.vault, SHOP);
}

async function duringInspect(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  const { result } = await tenant.start<InspectAnswer>('inspect', { what: 'points', source: SHOP }, 'inspect/points');
  await survive(tenant, deaths, result);
  const answer = await result;
  assert.ok(answer.what === 'points');
  assert.deepEqual(
    answer.sources.map(({ points }) => points.map(({ point }) => point)),
    [[stage.shop?.point]],
  );
}

/** The file is there, whole, and nothing stands beside it. */
async function duringExtract(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const tenant = await shopTenant(stage, activity);
  assert.ok(stage.shop);
  const { point } = stage.shop;
  await mkdir(tenant.scratch, { recursive: true });
  const [to, file] = [join(tenant.scratch, 'version'), 'PG_VERSION'];
  const id = `${workflowId.extract(SHOP, point)}/${activity}`;
  const { result } = await tenant.start<ExtractResult>('extract', { source: SHOP, point, file, to }, id);
  await survive(tenant, deaths, result);
  assert.equal((await result).files, 1);
  assert.match(await readFile(to, 'utf8'), /^\d+\n$/);
  assert.deepEqual(
    (await readdir(tenant.scratch)).filter((name) => name.includes('version')),
    ['version'],
  );
}
