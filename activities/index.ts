import { awaitWal, checkBackup, discardDrafts, publishPoint, takeBackup } from './backup.ts';
import { compactWal } from './compact-wal.ts';
import type { Deps } from './deps.ts';
import { listCommits } from './commits.ts';
import { describeSource } from './describe.ts';
import { describeCluster, weighFacts } from './describe-cluster.ts';
import { discardExtract, extractFiles, planExtract } from './extract.ts';
import { checkClone, makeClone, removeClone, startClone } from './failover-drill.ts';
import { copyDamaged, findDamaged } from './forensic.ts';
import { markPoint } from './hold.ts';
import { inspectVault } from './inspect.ts';
import { notify } from './notify.ts';
import { observeCluster } from './observe-cluster.ts';
import {
  awaitFollowing,
  awaitReceived,
  checkpointNode,
  demoteNode,
  fenceNode,
  freezeNode,
  observeNode,
  promoteNode,
  quiesceNode,
  reinstateNode,
  repointNode,
  startNode,
  thawNode,
  unquiesceNode,
  writeMarker,
} from './nodes.ts';
import { chooseDrillTarget, planRestore } from './plan.ts';
import {
  examineNode,
  holdSlot,
  prepareStandby,
  quarantineNode,
  reseedNode,
  rewindNode,
  salvageNode,
  tidyNode,
  traceWal,
} from './rejoin.ts';
import { compareRows, writeRows } from './rescue.ts';
import { planRetention, removePoints, removeWal } from './retention.ts';
import {
  bringOver,
  discardRestore,
  fetchBase,
  finishRestore,
  openCluster,
  prepareTarget,
  proveCluster,
  replayWal,
} from './restore.ts';
import { readSample, readStanding, samplePrimary } from './samples.ts';
import { checkService, describeService, takeEpoch } from './service.ts';
import { locateTraffic, moveTraffic } from './traffic.ts';
import { verifyPoint } from './verify.ts';
import { verifyPoints } from './verify-points.ts';
import { verifyWal } from './verify-wal.ts';
import { awaitStreaming, dropStreamSlot, streamWal } from './wal.ts';
import { weighRecovery } from './weigh.ts';
import { writeReport } from './write-report.ts';

/** Every activity. Each takes the worker's deps and one JSON-safe argument, and may be repeated. */
const ACTIVITIES = {
  describeSource,
  checkBackup,
  awaitStreaming,
  takeBackup,
  awaitWal,
  publishPoint,
  discardDrafts,
  streamWal,
  dropStreamSlot,
  planRestore,
  prepareTarget,
  fetchBase,
  replayWal,
  openCluster,
  proveCluster,
  bringOver,
  finishRestore,
  discardRestore,
  verifyPoint,
  verifyPoints,
  verifyWal,
  compactWal,
  planRetention,
  removePoints,
  removeWal,
  markPoint,
  chooseDrillTarget,
  writeReport,
  notify,
  inspectVault,
  planExtract,
  extractFiles,
  discardExtract,
  describeService,
  takeEpoch,
  locateTraffic,
  moveTraffic,
  checkService,
  weighRecovery,
  findDamaged,
  copyDamaged,
  listCommits,
  compareRows,
  writeRows,
  describeCluster,
  weighFacts,
  readSample,
  samplePrimary,
  readStanding,
  observeCluster,
  observeNode,
  writeMarker,
  awaitFollowing,
  makeClone,
  startClone,
  checkClone,
  removeClone,
  quiesceNode,
  unquiesceNode,
  demoteNode,
  reinstateNode,
  awaitReceived,
  promoteNode,
  repointNode,
  checkpointNode,
  startNode,
  freezeNode,
  thawNode,
  fenceNode,
  quarantineNode,
  traceWal,
  examineNode,
  salvageNode,
  rewindNode,
  reseedNode,
  prepareStandby,
  holdSlot,
  tidyNode,
} as const;

type Bound<F> = F extends (deps: Deps, argument: infer Argument) => infer Result
  ? (argument: Argument) => Result
  : never;

export type Activities = { [Name in keyof typeof ACTIVITIES]: Bound<(typeof ACTIVITIES)[Name]> };

export const ACTIVITY_NAMES = Object.keys(ACTIVITIES) as (keyof Activities)[];

export function createActivities(deps: Deps): Activities {
  const bound = Object.entries(ACTIVITIES).map(([name, activity]) => [
    name,
    (argument: never) => (activity as (deps: Deps, argument: never) => unknown)(deps, argument),
  ]);
  return Object.fromEntries(bound) as Activities;
}
