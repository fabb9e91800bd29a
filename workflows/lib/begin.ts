import type { OrderShape } from '../model/order-check.ts';
import { checkForm } from '../model/dump-order.ts';
import { checkOrder } from '../model/order-check.ts';
import type { SourceFacts } from '../model/results.ts';
import { quick } from '../options.ts';
import { endBy } from './conclude.ts';
import { Journal } from './journal.ts';
import { Notices } from './notices.ts';

/** What every run about a source begins with. */
export interface Begun<Order> {
  order: Order;
  journal: Journal;
  facts: SourceFacts;
  notices: Notices;
}

/** Checks the order key by key, opens the journal, and asks a worker who the source is. */
export async function begin<Order extends { source: string }>(
  workflow: string,
  given: unknown,
  shape: OrderShape,
): Promise<Begun<Order>> {
  const order = checkOrder<Order>(workflow, given, shape);
  const journal = new Journal(order.source);
  try {
    const facts = await describe(journal);
    checkForm(order, facts);
    return { order, journal, facts, notices: new Notices(facts, journal) };
  } catch (error) {
    endBy(journal, error);
    throw error;
  }
}

/** Asks a worker who the source is, and tells the journal. */
export async function describe(journal: Journal): Promise<SourceFacts> {
  const { source } = journal.progress;
  const facts = await quick({ summary: `read the configuration of ${source}` }).describeSource({ source });
  journal.facts(facts);
  return facts;
}
