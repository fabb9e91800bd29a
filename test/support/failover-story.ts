import assert from 'node:assert/strict';
import type { ClusterFacts, NodeState } from '../../workflows/model/cluster.ts';
import type { FailoverResult } from '../../workflows/model/failover.ts';
import { failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { clusterOf, END, goneState, standbyState } from './failover-answers.ts';
import { Switchboard } from './switchboard.ts';
import type { ActivityName, Script, StartOptions, TestRun, WorkflowWorld } from './workflow-env.ts';

/** Where traffic is behind a failover. */
export const THERE = { 'db-b.example:5432': 100 };
export const PLANNED = { to: 'west', mode: 'planned', by: 'anna' };
export const UNPLANNED = { to: 'db-b', mode: 'unplanned', by: 'anna' };

export interface FailoverUse {
  input?: Record<string, unknown>;
  script?: Script;
  cluster?: Partial<ClusterFacts>;
  before?: StartOptions['before'];
  /** Its timers leap. */
  skipsTime?: true;
}

export interface FailoverStory {
  run: TestRun;
  board: Switchboard;
  result: Promise<FailoverResult>;
}

export async function failingOver(world: WorkflowWorld, use: FailoverUse = {}): Promise<FailoverStory> {
  const board = new Switchboard();
  const describeCluster: Script['describeCluster'] = ({ service }) => clusterOf(service, use.cluster);
  const run = await world.start('failover', {
    script: { ...board.script, describeCluster, ...use.script },
    order: (service) => ({ service, ...(use.input ?? PLANNED) }),
    ...(use.skipsTime ? {} : { isInRealTime: true }),
    ...(use.before ? { before: use.before } : {}),
  });
  const result = run.handle.result() as Promise<FailoverResult>;
  result.catch(() => undefined);
  return { run, board, result };
}

/** Without an approval, which has tests of its own. */
export const AUTOMATIC: Partial<ClusterFacts> = { automatic: ['planned', 'unplanned'] };

export async function endedWith(result: Promise<unknown>, type: string, message: RegExp): Promise<void> {
  await assert.rejects(result, (error: unknown) => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.match(findFailure(error)?.message ?? '', message);
    return true;
  });
}

const TAKES_BACK: readonly ActivityName[] = ['reinstateNode', 'unquiesceNode', 'thawNode'];

/** What was taken back at the nodes, in its order. */
export function takenBack(run: TestRun): ActivityName[] {
  return run.names().filter((name) => TAKES_BACK.includes(name));
}

/** What was done, without messages to people. */
export function doneIn(run: TestRun): ActivityName[] {
  return run.names().filter((name) => name !== 'notify');
}

export const DESCRIBED: ActivityName[] = ['describeCluster', 'describeService', 'describeSource'];
export const LOOKED: ActivityName[] = ['observeNode', 'observeNode'];
export const OPENED: ActivityName[] = ['locateTraffic', 'locateTraffic', 'takeEpoch'];
export const MOVED: ActivityName[] = ['moveTraffic', 'moveTraffic'];
export const FORWARD: ActivityName[] = ['promoteNode', 'writeMarker', ...MOVED, 'checkpointNode'];

/** The primary is gone for everybody; `own` is what its worker says. */
export function goneBy(own: Partial<NodeState>, candidate: Partial<NodeState> = {}): Script {
  return {
    observeNode: ({ node, remote }) =>
      node === 'db-b' ? standbyState(node, { lsn: END, ...candidate }) : goneState(node, remote === true ? {} : own),
  };
}

/** A standby that hears nothing: JSON leaves it out. */
export const DEAF = { receiver: undefined } as unknown as Partial<NodeState>;

/** The server is seen not to run, and its standby does not hear it. */
export const DEAD = goneBy({ running: false }, DEAF);
