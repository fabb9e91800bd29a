import { failure } from '../workflows/model/failure.ts';
import type { ControlFacts, NodeState } from '../workflows/model/cluster.ts';
import { clonedNode } from '../workflows/model/cluster.ts';
import type { FenceResult } from '../workflows/model/failover-verdict.ts';
import type { Following, Promotion, Repointed } from '../workflows/model/failover.ts';
import type { Lsn } from '../workflows/model/lsn.ts';
import { compareLsn } from '../workflows/model/lsn.ts';
import { withRun } from './activity-run.ts';
import { checkpoint } from './cluster/checkpoint.ts';
import { cloneUse } from './cluster/clone.ts';
import type { ReinstateOrder } from './cluster/demote.ts';
import { demote, reinstate } from './cluster/demote.ts';
import type { Mover } from './cluster/epoch.ts';
import { claim } from './cluster/epoch.ts';
import type { ActedFence } from './cluster/fence.ts';
import { fence } from './cluster/fence.ts';
import type { FollowGoal } from './cluster/follow.ts';
import { untilFollowing } from './cluster/follow.ts';
import { freeze, thaw } from './cluster/freeze.ts';
import type { LookWish } from './cluster/look.ts';
import { lookAt } from './cluster/look.ts';
import type { Marked } from './cluster/marker.ts';
import { mark } from './cluster/marker.ts';
import type { NodeUse } from './cluster/node.ts';
import { withNode } from './cluster/node.ts';
import { startNode as start } from './cluster/power.ts';
import { dropIdle } from './cluster/slots.ts';
import type { PromoteOrder } from './cluster/promote.ts';
import { promote, receivedAt } from './cluster/promote.ts';
import type { Quiesced } from './cluster/quiesce.ts';
import { quiesce, unquiesce } from './cluster/quiesce.ts';
import type { RepointOrder } from './cluster/repoint.ts';
import { repoint } from './cluster/repoint.ts';
import { clusterConfig } from './describe-cluster.ts';
import type { Deps } from './deps.ts';
import type { Run } from './io/run.ts';

/** Which node of which service; `source` for those who follow a run by it. */
export interface NodeTask {
  source: string;
  service: string;
  node: string;
}

export type MoverTask = NodeTask & Mover;

/** A node as it is now. Nothing is changed. */
export function observeNode(deps: Deps, task: NodeTask & LookWish): Promise<NodeState> {
  return onNode(deps, task, (use) => lookAt(use, task));
}

/** Writes what a node that shares the history can read. Precondition behind a newer run. */
export function writeMarker(deps: Deps, task: MoverTask & { marker: string }): Promise<Marked> {
  return onNode(deps, task, (use) => mark(use, task));
}

/** Whether a standby follows, by all that proves it; `ok: false` when the time was over. */
export function awaitFollowing(deps: Deps, task: NodeTask & FollowGoal): Promise<Following> {
  return onNode(deps, task, (use) => untilFollowing(use, task));
}

/** Makes a primary read-only, and ends its sessions. */
export function quiesceNode(deps: Deps, task: MoverTask): Promise<Quiesced> {
  return onNode(deps, task, (use) => quiesce(use, task));
}

export function unquiesceNode(deps: Deps, task: MoverTask): Promise<void> {
  return onNode(deps, task, (use) => unquiesce(use, task));
}

/** Stops a primary as a standby of `upstream`; what its control file says then. */
export function demoteNode(
  deps: Deps,
  task: MoverTask & { upstream: string; withinMs: number },
): Promise<ControlFacts> {
  return onNode(deps, task, (use) => demote(use, task));
}

/** The primary it was before `demoteNode`. Only for as long as nothing else was promoted. */
export function reinstateNode(deps: Deps, task: MoverTask & ReinstateOrder): Promise<void> {
  return onNode(deps, task, (use) => reinstate(use, task));
}

const POLL_MS = 20;

/** Waits until a standby has received a position. What it has when the time is over is the answer. */
export function awaitReceived(
  deps: Deps,
  task: NodeTask & { lsn: Lsn; withinMs: number },
): Promise<{ lsn: Lsn; timeline: number; ok: boolean }> {
  const { lsn, withinMs } = task;
  return onNode(deps, task, (use) =>
    withNode(use, async (sql) => {
      const { clock, signal } = use.run;
      const deadline = clock.nowMs() + withinMs;
      for (;;) {
        const seen = await receivedAt(use, sql);
        const ok = compareLsn(seen.lsn, lsn) >= 0;
        if (ok || clock.nowMs() >= deadline) return { ...seen, ok };
        await clock.sleep(POLL_MS, signal);
      }
    }),
  );
}

/** The point of no return. Unavailable for as long as the node is still in recovery: it is looked at again, not rolled back. */
export function promoteNode(deps: Deps, task: NodeTask & PromoteOrder): Promise<Promotion> {
  return onNode(deps, task, (use) => promote(use, task));
}

/** Lets another standby of the cluster follow the node that was promoted; `ok: false` and why where that cannot be. */
export function repointNode(deps: Deps, task: NodeTask & RepointOrder): Promise<Repointed> {
  return onNode(deps, task, (use) => repoint(use, task));
}

export function checkpointNode(deps: Deps, task: NodeTask): Promise<void> {
  return onNode(deps, task, checkpoint);
}

/**
 * Starts a node as whatever its directory says it is, and returns when it takes sessions. Slots of `dropSlots` that nobody uses are
 * dropped: on a server that is a standby now they would keep WAL for ever.
 */
export function startNode(deps: Deps, task: MoverTask & { dropSlots?: string[] }): Promise<void> {
  return onNode(deps, task, async (use) => {
    await claim(use, task);
    await start(use);
    await dropIdle(use, task.dropSlots ?? []);
  });
}

/** Takes a standby off its primary; what it has then. */
export function freezeNode(deps: Deps, task: MoverTask): Promise<{ lsn: Lsn; timeline: number }> {
  return onNode(deps, task, (use) => freeze(use, task));
}

export function thawNode(deps: Deps, task: MoverTask): Promise<void> {
  return onNode(deps, task, (use) => thaw(use, task));
}

/** One way to keep an old primary from serving, and whether it is confirmed. */
export function fenceNode(deps: Deps, task: MoverTask & { step: ActedFence }): Promise<FenceResult> {
  return onNode(deps, task, (use) => fence(use, task));
}

/** Does the work of an activity at a node of this worker's configuration. NotFound when it has none of this name. */
export function onNode<T>(deps: Deps, task: NodeTask, work: (use: NodeUse) => Promise<T>): Promise<T> {
  return withRun(deps, (run) => work(nodeUse(deps, task, run)));
}

export function nodeUse(deps: Deps, task: NodeTask, run: Run): NodeUse {
  const cloned = clonedNode(task.node);
  return cloned === undefined ? ownUse(deps, task, run) : cloneUse(ownUse(deps, { ...task, node: cloned }, run));
}

function ownUse(deps: Deps, task: NodeTask, run: Run): NodeUse {
  const { service, node: name } = task;
  const cluster = clusterConfig(deps, service);
  const node = cluster.nodes[name];
  if (!node) {
    throw failure('NotFound', `service ${service} has no node ${name} on host ${deps.host}`, {
      place: `services.${service}.cluster.nodes in ${deps.config.path}`,
      expected: Object.keys(cluster.nodes).join(', '),
      found: name,
      hint: 'give every worker the same lifeboat.yml',
    });
  }
  return { service, name, node, cluster, host: deps.host, run };
}
