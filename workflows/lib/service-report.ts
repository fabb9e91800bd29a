import type { ClusterFacts } from '../model/cluster.ts';
import type { FailoverOrder } from '../model/failover.ts';
import type { ServiceChange } from '../model/report.ts';
import type { FailingOver, Said } from './failing-over.ts';
import { spansOf } from './failing-over.ts';
import type { RejoinSaid } from './rejoining.ts';
import { rejoinSections } from './rejoining.ts';
import type { Reporting } from './report.ts';

type Told = Partial<Reporting>;

/** What the report of a failover says beside its events, as far as it is known. */
export function failoverTold({ said, order, cluster }: Pick<FailingOver, 'said' | 'order' | 'cluster'>): Told {
  const { steps, outage, next, zeroLoss } = said;
  const { rpoMs } = cluster.objectives;
  return {
    ...{ change: failoverChange(said, order, cluster), steps, spans: spansOf(said) },
    ...(outage ? { outage } : {}),
    ...(next ? { next } : {}),
    ...(zeroLoss?.ok ? { rpoMs: 0 } : {}),
    ...(rpoMs === undefined ? {} : { rpoObjectiveMs: rpoMs }),
  };
}

function failoverChange(said: Said, order: FailoverOrder, cluster: ClusterFacts): ServiceChange {
  const { plan, checks, evidence, approvals, zeroLoss, promotion, loss, lost, fence, rejoined, others, traffic } = said;
  const followers = [...(rejoined ? [rejoined] : []), ...(others ?? [])];
  return defined<ServiceChange>({
    ...{ service: order.service, by: order.by, mode: order.mode, from: plan?.from, to: plan?.to ?? order.to },
    ...{ epoch: traffic?.epoch, lastSeen: order.since, breakGlass: order.breakGlass, configHash: cluster.planHash },
    ...{ plan, checks, evidence, approvals, fence, zeroLoss, loss, lost, promotion },
    ...{ followers: followers.length > 0 ? followers : undefined, traffic: traffic?.moved() },
  });
}

/** The same of the way back of a node. */
export function rejoinTold(said: RejoinSaid, { order, cluster, node }: RejoinTelling): Told {
  const { evidence, approvals, steps } = said;
  const change = defined<ServiceChange>({
    ...{ service: order.service, by: order.by, to: node, configHash: cluster.planHash, evidence, approvals },
  });
  return { change, steps, spans: spansOf(said), sections: rejoinSections(said) };
}

interface RejoinTelling {
  order: { service: string; by: string };
  cluster: ClusterFacts;
  /** Name of the node that comes back; absent: it was not chosen yet. */
  node: string | undefined;
}

/** Without what is not known. */
function defined<T extends object>(facts: { [Name in keyof T]: T[Name] | undefined }): T {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as T;
}
