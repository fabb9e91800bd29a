import { isCancellation, sleep } from '@temporalio/workflow';
import { endless } from '../options.ts';
import { messageOf } from './conclude.ts';
import { whenLonger } from './patience.ts';
import { nowMs } from './time.ts';
import type { Watching } from './watching.ts';

const SHORTEST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;
/** Without samples for so long somebody should know. */
const PATIENCE_MS = 60_000;
/** An attempt that lasts so long works. */
const STEADY_MS = 30_000;
const SAMPLES = 'samples';

/** Why there are no samples, once people were told; carried from run to run. */
export interface SamplingTrouble {
  missed?: string;
}

/** Has it written down all the time where the primary is; never ends but by a cancellation. */
export async function keepSampling(use: Watching, trouble: SamplingTrouble): Promise<never> {
  const { source, service } = use.cluster;
  let [pauseMs, sinceMs] = [SHORTEST_PAUSE_MS, nowMs()];
  use.concerns.set(SAMPLES, trouble.missed);
  const works = (): void => {
    [pauseMs, sinceMs] = [SHORTEST_PAUSE_MS, nowMs()];
    tellOver(use, trouble);
  };
  const patience = { afterMs: STEADY_MS, summary: 'until the samples count as steady', then: works };
  for (;;) {
    const startedMs = nowMs();
    try {
      const acts = endless({ summary: `write down where the primary of ${service} is` });
      const sampling = (): Promise<void> => acts.samplePrimary({ source, service });
      await (trouble.missed === undefined ? sampling() : whenLonger(sampling, patience));
    } catch (error) {
      if (isCancellation(error)) throw error;
      if (nowMs() - startedMs >= STEADY_MS) [pauseMs, sinceMs] = [SHORTEST_PAUSE_MS, nowMs()];
      tellLate(use, trouble, { message: messageOf(error), sinceMs });
    }
    await sleep(pauseMs, { summary: 'pause before the next sample' });
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  }
}

interface Late {
  message: string;
  sinceMs: number;
}

/** A primary that is gone is told by who looks at it. */
function tellLate(use: Watching, trouble: SamplingTrouble, { message, sinceMs }: Late): void {
  const { cluster, journal, notices, concerns, isTroubled } = use;
  journal.note(`no samples: ${message}`);
  if (trouble.missed !== undefined || isTroubled() || nowMs() - sinceMs < PATIENCE_MS) return;
  trouble.missed = message;
  concerns.set(SAMPLES, message);
  const title = `service ${cluster.service}: nobody writes down where its primary is`;
  notices.send({ severity: 'warning', title, body: message, about: SAMPLES });
}

function tellOver({ cluster, notices, concerns }: Watching, trouble: SamplingTrouble): void {
  if (trouble.missed === undefined) return;
  delete trouble.missed;
  concerns.set(SAMPLES, undefined);
  const title = `service ${cluster.service}: where its primary is is written down again`;
  notices.send({ severity: 'info', title, body: 'It goes on by itself.', about: SAMPLES, over: true });
}
