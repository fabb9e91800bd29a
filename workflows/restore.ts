import { begin } from './lib/begin.ts';
import { bringingOver } from './lib/bring-over.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { planRecovery, recover } from './lib/recover.ts';
import { report } from './lib/report.ts';
import { startRtoClock } from './lib/rto-clock.ts';
import type { RestoreOrder } from './model/orders.ts';
import type { RestoreResult } from './model/recovery.ts';
import type { RestorePreview } from './model/results.ts';
import { FOLLOWS } from './model/standby.ts';

/**
 * Recovers a source to a moment, into a new place, and proves it. Success is a proven cluster, nothing less.
 * Input: {"source":"shop","target":{"kind":"time","time":"2026-03-01T11:59:59Z"}}; without a target the newest moment.
 */
export async function restore(given: RestoreOrder): Promise<RestoreResult | RestorePreview> {
  const { order, journal, facts, notices } = await begin<RestoreOrder>('restore', given, {
    'source!': 'text',
    ...{ target: 'target', timeline: 'timeline', action: ['promote', 'pause', 'shutdown'] },
    ...{
      into: 'text',
      port: 'port',
      replace: 'flag',
      inPlace: 'flag',
      tablespaces: 'texts',
      point: 'text',
      host: 'text',
    },
    ...{ onlyDatabase: 'text', onlySchema: 'text', onlyTable: 'text', intoDatabase: 'text' },
    ...{ standby: 'flag', follow: FOLLOWS, fromServer: 'text', slot: 'text', listen: 'text', preview: 'flag' },
  });
  if (order.preview) {
    journal.step('preview');
    return conclude(journal, () => planRecovery(order));
  }
  const clock = startRtoClock(journal, notices);
  try {
    return await conclude(
      journal,
      async (undo) => {
        const use = { journal, facts, notices, undo, clock, keepUnproven: true };
        const isPassing = order.intoDatabase !== undefined && !facts.dumps;
        const restored: RestoreResult = await recover(order, { ...use, unfinished: isPassing });
        const result = isPassing ? await bringingOver(restored, use) : restored;
        undo.clear();
        journal.progress.result = result;
        const { behindTargetMs: rpoMs } = result.proof;
        const written = await report({
          kind: 'restore',
          journal,
          facts,
          result,
          ...(rpoMs === undefined ? {} : { rpoMs }),
        });
        return written ? { ...result, report: written } : result;
      },
      {
        tell: (error) => {
          notices.send({ severity: 'critical', title: `restore of ${order.source} failed`, body: messageOf(error) });
        },
        finish: async (error) => {
          // A wish that was refused has touched nothing, and leaves nothing.
          if (journal.progress.phases !== undefined) await report({ kind: 'restore', journal, facts, error });
        },
      },
    );
  } finally {
    clock.stop();
    await notices.settle();
  }
}
