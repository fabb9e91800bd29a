import { condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import { endBy } from './lib/conclude.ts';
import { Journal } from './lib/journal.ts';
import { NoticeDesk } from './lib/notice-desk.ts';
import { hearAcknowledgements } from './lib/notices.ts';
import { carrySignal, overSignal } from './messages.ts';
import type { Carried } from './model/notice.ts';
import { carriedOf } from './model/notice.ts';
import { checkOrder } from './model/order-check.ts';
import type { NoticesOrder } from './model/orders.ts';

/**
 * What runs of one id have told people and left open: it tells on, at its times, until somebody acknowledges, and ends it when a later
 * run of that id ends well. Runs start it by themselves, as notices/<their id>; cancelled, it tells nobody any more.
 * Input: {"source":"shop","run":"backup/shop"}.
 */
export async function notices(given: NoticesOrder): Promise<void> {
  const order = checkOrder<NoticesOrder>('notices', given, { 'source!': 'text', 'run!': 'text', carried: 'mapping' });
  const journal = new Journal(order.source);
  const desk = new NoticeDesk({ source: order.source, run: order.run, journal });
  hearAcknowledgements(desk);
  setHandler(carrySignal, (carried) => desk.take(carriedOf(carried)));
  setHandler(overSignal, (group) => {
    for (const each of desk.open.filter((one) => group === undefined || one.group === group)) desk.over(each.group);
  });
  desk.take(carriedOf(order.carried));
  journal.step(`tell people of ${order.run}`);
  const carried = await tell(desk, journal);
  if (carried) await continueAsNew<typeof notices>({ ...order, carried });
}

/** Until nothing is open any more, or the history is long: then what is left goes on in a run that follows. */
async function tell(desk: NoticeDesk, journal: Journal): Promise<Carried | undefined> {
  try {
    await condition(() => desk.isIdle || workflowInfo().continueAsNewSuggested);
    const carried = await desk.close();
    if (carried.groups.length + carried.waiting.length > 0) return carried;
    journal.end('done', 'done');
    return undefined;
  } catch (error) {
    endBy(journal, error);
    throw error;
  }
}
