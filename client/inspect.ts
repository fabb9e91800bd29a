import { randomUUID } from 'node:crypto';
import type { InspectOrder } from '../workflows/model/orders.ts';
import type { InspectAnswer } from '../workflows/model/results.ts';
import type { Session } from './connect.ts';
import { follow } from './follow.ts';
import type { StartedRun } from './start.ts';
import { startOrJoin } from './start.ts';
import { Stop } from './stop.ts';
import type { Call } from './verb.ts';

type Question = InspectOrder['what'];

const FORGET_MS = 1000;

/** Asks a worker, which holds the keys and the stores, a question that changes nothing. */
export async function inspect<What extends Question>(
  session: Session,
  order: InspectOrder & { what: What },
  call: Call,
): Promise<InspectAnswer & { what: What }> {
  return answerOf<What>(session, await startInspection(session, order), call);
}

export async function answerOf<What extends Question>(
  session: Session,
  run: StartedRun,
  call: Call,
): Promise<InspectAnswer & { what: What }> {
  try {
    return (await follow(session, { ...run, question: true }, call)) as InspectAnswer & { what: What };
  } catch (error) {
    const given = call.host.interrupted.aborted ? unanswered() : error;
    await forget(session, run, call);
    throw given;
  }
}

function unanswered(): Stop {
  return new Stop('Interrupted', 'interrupted before the answer came', { hint: 'run the same command again' });
}

/** Nobody will read the answer of a question that is given up; one that has ended is left as it is. */
export async function forget({ client }: Session, { workflowId, runId }: StartedRun, { host }: Call): Promise<void> {
  const handle = client.workflow.getHandle(workflowId, runId);
  await client
    .withDeadline(host.nowMs() + FORGET_MS, () => handle.terminate('given up by who asked'))
    .catch(() => undefined);
}

export function startInspection(session: Session, order: InspectOrder): Promise<StartedRun> {
  return startOrJoin(session, {
    workflow: 'inspect',
    workflowId: `inspect/${order.what}/${randomUUID()}`,
    order,
    summary: `look at ${order.what}`,
  });
}
