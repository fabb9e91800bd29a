import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import type { ExtractResult } from './model/contents.ts';
import { extractedOf, extractedText } from './model/contents.ts';
import { hostQueue } from './model/names.ts';
import type { OrderShape } from './model/order-check.ts';
import { checkOrder } from './model/order-check.ts';
import type { ExtractOrder } from './model/orders.ts';
import { bulk, quick } from './options.ts';

const SHAPE: OrderShape = {
  ...{ 'source!': 'text', 'point!': 'text', file: 'text', relation: 'text', 'to!': 'text', host: 'text' },
  all: 'flag',
};

/**
 * Takes one file, or one relation with all its segments and forks, out of a recovery point, or everything out of a forensic copy.
 * Nothing is written over.
 * Input: {"source":"shop","point":"20260301T020000Z-1a2b3c4d-1","relation":"shop.public.orders","to":"/srv/orders"}.
 */
export async function extract(given: ExtractOrder): Promise<ExtractResult> {
  extractedOf(checkOrder<ExtractOrder>('extract', given, SHAPE));
  const { order, journal, notices } = await begin<ExtractOrder>('extract', given, SHAPE);
  const { source, point, host } = order;
  return conclude(
    journal,
    async (undo) => {
      journal.step('find');
      const finding = quick({
        summary: `find ${extractedText(order)} in ${point}`,
        ...(host === undefined ? {} : { taskQueue: hostQueue(host) }),
      });
      const plan = await finding.planExtract({ ...order, run: workflowInfo().runId });
      journal.note(`${plan.path} of ${plan.chain.length} points, to ${plan.to} on host ${plan.host}`);
      const on = (summary: string): Activities => bulk({ summary, taskQueue: hostQueue(plan.host) });
      // What it stands in until it is whole, however this ends.
      const what = `remove what stands beside ${plan.to}`;
      undo.push(what, () => on(what).discardExtract(plan));
      journal.step('fetch');
      const result = await on(`take ${plan.path} out of ${point}`).extractFiles(plan);
      await CancellationScope.nonCancellable(() => undo.unwind(journal));
      return result;
    },
    {
      tell: (error) => {
        const title = `nothing was taken out of ${point} of ${source}`;
        notices.send({ severity: 'error', title, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}
