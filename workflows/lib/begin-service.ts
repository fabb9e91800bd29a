import type { ClusterFacts } from '../model/cluster.ts';
import type { OrderShape } from '../model/order-check.ts';
import { checkOrder } from '../model/order-check.ts';
import type { SourceFacts } from '../model/results.ts';
import type { ServiceFacts } from '../model/service.ts';
import { quick } from '../options.ts';
import { endBy } from './conclude.ts';
import { Journal } from './journal.ts';
import { Notices } from './notices.ts';

/** What every run about the servers of a service begins with. */
export interface BegunService<Order> {
  order: Order;
  journal: Journal;
  facts: SourceFacts;
  cluster: ClusterFacts;
  service: ServiceFacts;
  notices: Notices;
}

/** Checks the order, opens the journal under the service's name, and asks a worker what stands in the configuration. */
export async function beginService<Order extends { service: string }>(
  workflow: string,
  given: unknown,
  shape: OrderShape,
): Promise<BegunService<Order>> {
  const order = checkOrder<Order>(workflow, given, shape);
  const { service: name } = order;
  const journal = new Journal(name);
  try {
    const acts = quick({ summary: `read the configuration of ${name}` });
    const cluster = await acts.describeCluster({ service: name });
    const { source, objectives } = cluster;
    const service = await acts.describeService({ source, service: name });
    const facts = await acts.describeSource({ source });
    journal.facts(facts);
    if (objectives.rtoMs !== undefined)
      journal.progress.rto = { objectiveMs: objectives.rtoMs, elapsedMs: 0, warned: false, escalated: false };
    return { order, journal, facts, cluster, service, notices: new Notices(facts, journal) };
  } catch (error) {
    endBy(journal, error);
    throw error;
  }
}
