import type { FenceStep } from '../../workflows/model/cluster.ts';
import type { FenceOutcome, FenceResult } from '../../workflows/model/failover-verdict.ts';
import { describeFence } from '../../workflows/model/failover-plan.ts';
import { failure, findFailure } from '../../workflows/model/failure.ts';
import { runProgram } from '../io/program.ts';
import { runningServer } from '../io/postgres/server.ts';
import type { Mover } from './epoch.ts';
import { doubtOf, stateOf } from './ended.ts';
import { claim } from './epoch.ts';
import { STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import { stopInstance } from './instance-stop.ts';
import type { NodeUse } from './node.ts';
import { endNode, processesOn } from './power.ts';

export type ActedFence = Extract<FenceStep, { by: 'agent-stop' | 'instance-stop' | 'command' }>;

/** How long a shutdown in good order is waited for: nobody is served meanwhile. */
const FAST_MS = 10_000;

/** One rung of the ladder. What it could not do is an answer; it never says confirmed without having seen it. */
export async function fence(use: NodeUse, order: Mover & { step: ActedFence }): Promise<FenceResult> {
  const { step } = order;
  const { outcome, found } = await actedBy(use, order);
  return { step: describeFence(step), outcome, found };
}

function actedBy(use: NodeUse, { step, ...mover }: Mover & { step: ActedFence }): Promise<Said> {
  switch (step.by) {
    case 'agent-stop':
      return agentStop(use, mover);
    case 'instance-stop':
      return stopInstance(use);
    case 'command':
      return program(use, mover, step);
  }
}

type Said = Pick<FenceResult, 'outcome' | 'found'>;

/** The signal first: whatever starts the server again, a supervisor or a host that comes up, finds a standby. */
async function agentStop(use: NodeUse, mover: Mover): Promise<Said> {
  await claim(use, mover);
  await writeNodeFile(use, STANDBY_SIGNAL, '');
  try {
    const { dataDir } = use.node;
    const wasSeen = (await processesOn(dataDir)).length > 0;
    const isEnded = await endNode(use, FAST_MS);
    const again = isEnded ? undefined : await runningServer(dataDir);
    if (!isEnded && again === undefined) return { outcome: 'unconfirmed', found: `processes on ${dataDir} do not end` };
    const doubt = await doubtOf(use, { wasSeen });
    if (doubt !== undefined) return { outcome: 'unconfirmed', found: doubt };
    const what =
      again === undefined ? `no server runs on ${dataDir}` : `it was started again on ${dataDir}, as a standby`;
    const state = await stateOf(use);
    return { outcome: 'confirmed', found: state === undefined ? what : `${what}; pg_control: ${state}` };
  } catch (error) {
    use.run.signal.throwIfAborted();
    const message = findFailure(error)?.message ?? (error as NodeJS.ErrnoException).code ?? String(error);
    return { outcome: 'unconfirmed', found: message };
  }
}

const OUTCOMES: Record<number, FenceOutcome> = { 0: 'confirmed', 1: 'unconfirmed', 2: 'impossible' };

async function program(use: NodeUse, mover: Mover, step: Extract<FenceStep, { by: 'command' }>): Promise<Said> {
  const { cluster, service, name, node, run } = use;
  const found = cluster.fence.find((each) => each.by === 'command' && each.name === step.name);
  if (found?.by !== 'command')
    throw failure('NotFound', `fence ${step.name} is not configured on host ${use.host}`, {
      place: `services.${service}.cluster.fence`,
      expected: 'a step of this name',
      found: 'none',
      hint: 'give every worker the same lifeboat.yml',
    });
  const environment = {
    ...{ LIFEBOAT_SERVICE: service, LIFEBOAT_NODE: name, LIFEBOAT_EPOCH: String(mover.epoch) },
    ...{ LIFEBOAT_HOST: node.address, LIFEBOAT_PORT: String(node.port) },
  };
  const place = `services.${service}.cluster.fence.${step.name}`;
  const end = await runProgram(found, { args: [], environment, place }, run);
  if (end.timedOut) return { outcome: 'unconfirmed', found: `no end within ${end.after}` };
  const words = (end.stdout.trim() || end.stderr.trim()).split('\n').at(-1)?.slice(0, 300) ?? '';
  const outcome = OUTCOMES[end.code ?? -1] ?? 'unconfirmed';
  return { outcome, found: `exit ${end.code ?? 'by a signal'}${words === '' ? '' : `: ${words}`}` };
}
