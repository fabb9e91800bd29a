import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { VerifyOrder } from '../../workflows/model/orders.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import type { VerifyResult } from '../../workflows/model/results.ts';
import type { Session } from '../connect.ts';
import { addRunOptions } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<point>', 'POINT, or SOURCE/POINT');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat verify shop/20260301T020000Z-1a2b3c4d-1', 'fetch, decrypt and check every byte; restore nothing'],
    ['lifeboat drill shop', 'the stronger proof: restore it'],
  ]);
  return verify;
}

async function verify(call: Call): Promise<Outcome> {
  const { runVerb } = await import('../run.ts');
  return runVerb<VerifyResult>(call, {
    request: async (session) => {
      const order = await orderFor(session, call);
      return {
        workflow: 'verify',
        workflowId: workflowId.verify(order.source, order.point),
        order,
        summary: `verify ${order.source}/${order.point}`,
      };
    },
    answer: (result, { workflowId: run }) => ({
      data: { verified: result },
      lines: [
        `${run.slice('verify/'.length)} is whole: ${result.parts} parts, ${formatBytes(result.bytes)} read and checked`,
      ],
    }),
  });
}

/** A point without its source is looked up: point ids are unique within a source only. */
async function orderFor(session: Session, call: Call): Promise<VerifyOrder> {
  const [{ inspect }, { checkedPointName }] = await Promise.all([import('../inspect.ts'), import('../points.ts')]);
  const name = checkedPointName(session, call.args[0] ?? '');
  if (name.source !== undefined) return { source: name.source, point: name.point };
  const { point } = await inspect(session, { what: 'point', point: name.point }, call);
  return { source: point.summary.source, point: point.summary.point };
}
