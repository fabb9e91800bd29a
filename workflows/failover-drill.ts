import { beginService } from './lib/begin-service.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import type { DrillSaid } from './lib/failover-drilling.ts';
import { drillTold } from './lib/failover-drilling.ts';
import { drillFailover } from './lib/drill-failover.ts';
import { report } from './lib/report.ts';
import type { FailoverDrillOrder, FailoverDrillResult } from './model/failover-drill.ts';

/**
 * Drills a failover on a copy of the standby that is thrown away: it is cut off from production, promoted the way that a failover promotes,
 * written to and checked, measured, and removed, which is proven, whatever way the drill ends. No server of the service and
 * no switch is touched. Input: {"service":"web"}.
 */
export async function failoverDrill(given: FailoverDrillOrder): Promise<FailoverDrillResult> {
  const shape = { 'service!': 'text', to: 'text', by: 'text' } as const;
  const begun = await beginService<FailoverDrillOrder>('failoverDrill', given, shape);
  const { order, journal, facts, notices } = begun;
  // Most of its time is that of a copy: what is held against the RTO is measured by itself.
  delete journal.progress.rto;
  const said: DrillSaid = { phases: {}, steps: [] };
  try {
    return await conclude(journal, (undo) => drillFailover({ ...begun, undo, said }), {
      tell: (error) => {
        const title = `failover drill of ${order.service} failed`;
        notices.send({ severity: 'error', title, body: messageOf(error) });
      },
      finish: async (error) => {
        // An order that was refused has touched nothing, and leaves nothing.
        if (!said.begun) return;
        await report({ kind: 'failover-drill', journal, facts, error, ...drillTold({ ...begun, said }) });
      },
    });
  } finally {
    await notices.settle();
  }
}
