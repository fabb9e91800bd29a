import { Approvals } from './lib/approval.ts';
import { beginService } from './lib/begin-service.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { previewRejoin } from './lib/preview-rejoin.ts';
import { rejoinNode } from './lib/rejoin-node.ts';
import type { RejoinSaid } from './lib/rejoining.ts';
import { refuseDuringFailover } from './lib/rejoining.ts';
import { report } from './lib/report.ts';
import { rejoinTold } from './lib/service-report.ts';
import { candidateOf } from './model/cluster.ts';
import type { RejoinOrder, RejoinPreview, RejoinResult } from './model/rejoin.ts';

/**
 * Makes a standby again of a server that was a primary: it is kept from serving, what only it has is kept in the vault and given up by
 * those who have to agree, and it follows as it is, rewound, or as a new copy, which is proven. It is safe to start again, wherever
 * it ended. Input: {"service":"web","node":"db1","by":"anna"}; with "dryRun":true it says what it would do, and why, and touches nothing.
 */
export async function rejoin(given: RejoinOrder): Promise<RejoinResult | RejoinPreview> {
  const shape = { 'service!': 'text', 'node!': 'text', 'by!': 'text', dryRun: 'flag' } as const;
  const begun = await beginService<RejoinOrder>('rejoin', given, shape);
  const { order, journal, facts, notices, cluster } = begun;
  // Nobody waits for it: the service works without.
  delete journal.progress.rto;
  const approvals = new Approvals(journal);
  const said: RejoinSaid = { why: [], steps: [] };
  const told = (): ReturnType<typeof rejoinTold> => rejoinTold(said, { order, cluster, node: order.node });
  try {
    return await conclude(
      journal,
      async (undo) => {
        const node = candidateOf(cluster, order.node);
        await refuseDuringFailover(order.service);
        if (order.dryRun) return previewRejoin({ journal, cluster, node });
        const result = await rejoinNode({ ...begun, node, approvals, undo, said });
        const stored = await report({ kind: 'rejoin', journal, facts, done: true, ...told() });
        return stored ? { ...result, report: stored } : result;
      },
      {
        tell: (error) => {
          if (!said.begun) return;
          notices.send({
            severity: 'error',
            title: `rejoin of ${order.node} of ${order.service} failed`,
            body: messageOf(error),
          });
        },
        finishesCancelled: true,
        finish: async (error) => {
          if (!said.begun) return;
          await report({ kind: 'rejoin', journal, facts, error, ...told() });
        },
      },
    );
  } finally {
    await notices.settle();
  }
}
