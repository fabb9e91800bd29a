import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { VerifyWalOrder } from '../../workflows/model/orders.ts';
import { parseSince } from '../../workflows/model/wal-since.ts';
import type { WalVerified } from '../../workflows/model/wal-verify.ts';
import { addRunOptions, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';
import { walLines } from '../wal-lines.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .option('--since <when>', 'only what came since: a time with its offset, or a WAL position')
    .option('--timeline <number>', 'only this timeline');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat wal verify shop', 'cipher, pages, records and timelines of all WAL; holes, and what they cost'],
    ['lifeboat wal verify shop --since 2026-03-01T00:00:00Z', 'only what came since'],
  ]);
  return walVerify;
}

async function walVerify(call: Call): Promise<Outcome> {
  const [source = ''] = call.args;
  const [{ runVerb }, { knownSource }] = await Promise.all([import('../run.ts'), import('../sources.ts')]);
  return runVerb<WalVerified>(call, {
    request: ({ config }) => ({
      workflow: 'verifyWal',
      workflowId: workflowId.verifyWal(source),
      order: orderOf(knownSource(config, source), call),
      summary: `verify the stored WAL of ${source}`,
    }),
    answer: (result) => ({ data: { verified: result }, lines: walLines(result) }),
  });
}

function orderOf(source: string, { options }: Call): VerifyWalOrder {
  const since = options['since'] as string | undefined;
  if (since !== undefined) parseSince(since);
  return { source, ...given({ since, timeline: timelineOf(options['timeline'] as string | undefined) }) };
}

function timelineOf(text: string | undefined): number | undefined {
  if (text === undefined || /^[1-9]\d{0,8}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new Stop('Usage', `--timeline is a number from 1, not "${text}"`, { hint: 'lifeboat wal verify --help' });
}
