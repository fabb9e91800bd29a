import { Context } from '@temporalio/activity';
import type { Deps } from './deps.ts';
import type { Progress, Run } from './io/run.ts';

/** A dead worker is noticed after the heartbeat timeout of workflows/options.ts, so beats are closer together than that. */
const BEAT_MS = 1500;

/**
 * Runs the work of an activity with its Run: cancellation as an abort signal, progress as heartbeats. Beats go on while
 * the work waits for a slow store: they say that this worker lives; that a call hangs is the business of its own timeout.
 */
export async function withRun<T>(deps: Deps, work: (run: Run) => Promise<T>): Promise<T> {
  const context = Context.current();
  const { resume } = (context.info.heartbeatDetails ?? {}) as Partial<Progress>;
  const going = resume === undefined ? {} : { resume };
  let latest: Progress = { phase: 'starting', ...going };
  const beat = setInterval(() => context.heartbeat(latest), BEAT_MS);
  let told = '';
  const run: Run = {
    signal: context.cancellationSignal,
    log: deps.log,
    clock: deps.clock,
    ...going,
    progress: (update) => {
      const kept = latest.resume;
      latest = update.resume === undefined && kept !== undefined ? { ...update, resume: kept } : update;
      if (update.phase === told) return;
      told = update.phase;
      context.heartbeat(latest);
    },
  };
  try {
    context.heartbeat(latest);
    return await work(run);
  } catch (error) {
    // What the engine says of an ending is a consequence of it; the reason is what Temporal wants to hear.
    if (context.cancellationSignal.aborted) throw context.cancellationSignal.reason ?? error;
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** Number of this attempt, from 1. */
export function attempt(): number {
  return Context.current().info.attempt;
}
