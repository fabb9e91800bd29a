import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { CompactWalOrder } from '../../workflows/model/orders.ts';
import type { CompactResult } from '../../workflows/model/verify-result.ts';
import { addRunOptions } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .option('--open', 'also the segment in which the newest timeline ends: no stream goes on there');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat wal compact shop', 'pieces that a dead stream left, and ends of old timelines; each is read back first'],
    ['lifeboat wal compact shop --open', 'of a source that is streamed no more'],
  ]);
  return walCompact;
}

async function walCompact(call: Call): Promise<Outcome> {
  const [source = ''] = call.args;
  const [{ runVerb }, { knownSource }] = await Promise.all([import('../run.ts'), import('../sources.ts')]);
  return runVerb<CompactResult>(call, {
    request: ({ config }) => ({
      workflow: 'compactWal',
      workflowId: workflowId.compactWal(source),
      order: {
        source: knownSource(config, source),
        ...(call.options['open'] === true ? { open: true } : {}),
      } satisfies CompactWalOrder,
      summary: `compact the stored WAL of ${source}`,
    }),
    answer: (result) => ({ data: { compacted: result }, lines: linesOf(result) }),
  });
}

function linesOf({ source, objects, pieces, refused }: CompactResult): string[] {
  const done = objects === 0 ? 'nothing to compact' : `${objects} objects stand for ${pieces} pieces, which are gone`;
  return [
    `WAL of ${source}: ${done}`,
    ...refused.map(({ place, reason }) => `REFUSED by the store: ${place}: ${reason}`),
  ];
}
