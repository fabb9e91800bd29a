import { Approvals } from './lib/approval.ts';
import { beginService } from './lib/begin-service.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import type { FailingOver, Said } from './lib/failing-over.ts';
import { plannedFailover } from './lib/planned-failover.ts';
import { report } from './lib/report.ts';
import { startRtoClock } from './lib/rto-clock.ts';
import { failoverTold } from './lib/service-report.ts';
import { nowMs } from './lib/time.ts';
import { unplannedFailover } from './lib/unplanned-failover.ts';
import { candidateOf } from './model/cluster.ts';
import type { FailoverOrder, FailoverPreview, FailoverResult } from './model/failover.ts';
import { checkFailover } from './model/failover-order.ts';

/**
 * Makes another node of a service's cluster the primary, and sends its clients there. planned: both servers live, they change places, and that
 * nothing is lost is proven before anything is promoted. unplanned: the primary is gone; what is lost is quoted, it is fenced, and who
 * has to agree is asked. Before the point of no return everything is taken back that fails or is cancelled; behind it there is only forward.
 * Input: {"service":"web","to":"west","mode":"planned","by":"anna"}.
 */
export async function failover(given: FailoverOrder): Promise<FailoverResult | FailoverPreview> {
  const begun = await beginService<FailoverOrder>('failover', given, {
    ...{ 'service!': 'text', 'to!': 'text', 'mode!': ['planned', 'unplanned'], 'by!': 'text' },
    ...{ dryRun: 'flag', breakGlass: 'text', since: 'text' },
  });
  const { order, journal, facts, notices } = begun;
  const approvals = new Approvals(journal);
  const clock = startRtoClock(journal, notices);
  const said: Said = { steps: [] };
  try {
    return await conclude(
      journal,
      (undo) => {
        checkFailover(order, nowMs());
        const use: FailingOver = { ...begun, to: candidateOf(begun.cluster, order.to), approvals, undo, clock, said };
        return order.mode === 'planned' ? plannedFailover(use) : unplannedFailover(use);
      },
      {
        tell: (error) => {
          const title = `${order.mode} failover of ${order.service} to ${order.to} failed`;
          // A service that was never taken down serves on.
          const severity = order.mode === 'planned' && !said.outage ? 'error' : 'critical';
          if (said.begun) notices.send({ severity, title, body: messageOf(error) });
        },
        finishesCancelled: true,
        finish: async (error) => {
          // An order that was refused has touched nothing, and leaves nothing.
          if (!said.begun) return;
          await report({ kind: 'failover', journal, facts, error, ...failoverTold({ ...begun, said }) });
        },
      },
    );
  } finally {
    clock.stop();
    await notices.settle();
  }
}
