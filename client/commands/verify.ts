import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { VerifyAllOrder, VerifyOrder } from '../../workflows/model/orders.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import type { VerifyResult } from '../../workflows/model/results.ts';
import type { VerifyAllResult } from '../../workflows/model/verify-result.ts';
import type { Session } from '../connect.ts';
import { addRunOptions } from '../run-options.ts';
import { walLines } from '../wal-lines.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<point>', 'POINT, or SOURCE/POINT; with --all a source')
    .option('--all', 'every recovery point of the source, newest first, and all its WAL');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat verify shop/20260301T020000Z-1a2b3c4d-1', 'fetch, decrypt and check every byte; restore nothing'],
    ['lifeboat verify shop --all', 'everything that is stored of shop; schedule.verify does it by the clock'],
    ['lifeboat drill shop', 'the stronger proof: restore it'],
  ]);
  return verify;
}

async function verify(call: Call): Promise<Outcome> {
  const { runVerb } = await import('../run.ts');
  if (call.options['all'] === true) return verifyAll(call);
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

async function verifyAll(call: Call): Promise<Outcome> {
  const [source = ''] = call.args;
  const [{ runVerb }, { knownSource }] = await Promise.all([import('../run.ts'), import('../sources.ts')]);
  return runVerb<VerifyAllResult>(call, {
    request: ({ config }) => ({
      workflow: 'verifyAll',
      workflowId: workflowId.verifyAll(source),
      order: { source: knownSource(config, source) } satisfies VerifyAllOrder,
      summary: `verify everything that is stored of ${source}`,
    }),
    answer: (result) => ({ data: { verified: result }, lines: allLines(result) }),
  });
}

function allLines({ source, points, wal }: VerifyAllResult): string[] {
  const read = `${points.parts} parts, ${formatBytes(points.bytes)} read and checked`;
  return [`${points.points} points of ${source} are whole: ${read}`, ...(wal ? walLines(wal) : [])];
}

/** A point without its source is looked up: point ids are unique within a source only. */
async function orderFor(session: Session, call: Call): Promise<VerifyOrder> {
  const [{ inspect }, { checkedPointName }] = await Promise.all([import('../inspect.ts'), import('../points.ts')]);
  const name = checkedPointName(session, call.args[0] ?? '');
  if (name.source !== undefined) return { source: name.source, point: name.point };
  const { point } = await inspect(session, { what: 'point', point: name.point }, call);
  return { source: point.summary.source, point: point.summary.point };
}
