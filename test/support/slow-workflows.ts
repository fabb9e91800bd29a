import { continueAsNew, proxyActivities, setHandler } from '@temporalio/workflow';
import type { RunProgress } from '../../workflows/messages.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { BackupOrder, DrillOrder } from '../../workflows/model/orders.ts';

/** What a test holds in its hand: it says how far the copy is and when it ends. */
export interface SlowActivities {
  copy(source: string): Promise<number>;
}

const { copy } = proxyActivities<SlowActivities>({
  startToCloseTimeout: '5m',
  heartbeatTimeout: '10s',
  retry: { initialInterval: '50ms', backoffCoefficient: 1 },
});

/** A run whose one step lasts as long as the test wants. */
export async function backup(order: BackupOrder): Promise<{ copied: number }> {
  const progress: RunProgress = {
    ...{ workflow: 'backup', source: order.source, step: 'copy', outcome: 'running' },
    startedAt: '2026-01-05T03:00:00.000Z',
    timeline: [{ at: '2026-01-05T03:00:01.000Z', what: 'the copy begins' }],
    attention: 'somebody should look: lifeboat doctor',
  };
  setHandler(progressQuery, () => progress);
  const copied = await copy(order.source);
  if (copied < 0) {
    throw failure('Integrity', `copy of ${order.source} is damaged`, {
      ...{ place: 'part 3', expected: 'sha256 aa', found: 'sha256 bb', hint: 'lifeboat backup shop' },
    });
  }
  return { copied };
}

/** Goes on under new run ids, as long-lived runs do. */
export async function drill(order: DrillOrder & { rounds?: number }): Promise<{ rounds: number }> {
  const rounds = order.rounds ?? 0;
  if (rounds < 3) await continueAsNew<typeof drill>({ ...order, rounds: rounds + 1 });
  return { rounds };
}
