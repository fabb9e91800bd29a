import { patched } from '@temporalio/workflow';
import type { SourceFacts } from '../model/results.ts';
import { bulk } from '../options.ts';
import type { Journal } from './journal.ts';
import { whenLonger } from './patience.ts';

/** Of histories from before a stream ended when there were to be fewer. */
const SURPLUS_ENDS = 'surplus-streams-end';
/** A slot is let go of within moments of the end of its stream. */
const PATIENCE_MS = 5 * 60_000;

/** Whether a stream that runs is one of those that the configuration of now does not name. */
export function isSurplus(stream: number, { walStreams = 1 }: SourceFacts): boolean {
  return stream > walStreams && patched(SURPLUS_ENDS);
}

/** The last of a stream that there is not to be any more: its slot would hold WAL on the server for ever. */
export async function endSurplus(
  journal: Journal,
  { source, stream }: { source: string; stream: number },
): Promise<void> {
  const what = `drop the slot of stream ${stream}`;
  journal.step(what);
  const acts = bulk({ summary: `${what} of ${source}` });
  const then = (): void => journal.attention(`not done yet: ${what}; see lifeboat doctor`);
  const { slot, found } = await whenLonger(() => acts.dropStreamSlot({ source, stream }), {
    ...{ afterMs: PATIENCE_MS, summary: `patience: ${what}`, then },
  });
  journal.attention(undefined);
  journal.note(`slot ${slot}: ${found}`);
  journal.end('done', 'done');
}
