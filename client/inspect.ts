import { randomUUID } from 'node:crypto';
import type { InspectOrder } from '../workflows/model/orders.ts';
import type { InspectAnswer } from '../workflows/model/results.ts';
import type { Session } from './connect.ts';
import { follow } from './follow.ts';
import type { StartedRun } from './start.ts';
import { startOrJoin } from './start.ts';
import type { Call } from './verb.ts';

type Question = InspectOrder['what'];

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
  return (await follow(session, run, call)) as InspectAnswer & { what: What };
}

export function startInspection(session: Session, order: InspectOrder): Promise<StartedRun> {
  return startOrJoin(session, {
    workflow: 'inspect',
    workflowId: `inspect/${order.what}/${randomUUID()}`,
    order,
    summary: `look at ${order.what}`,
  });
}
