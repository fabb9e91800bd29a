import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { BegunService } from './lib/begin-service.ts';
import { beginService } from './lib/begin-service.ts';
import { closeBy, endBy } from './lib/conclude.ts';
import type { Detected } from './lib/detection.ts';
import { Detection } from './lib/detection.ts';
import { ReadyWatch } from './lib/ready-watch.ts';
import type { SamplingTrouble } from './lib/sampling.ts';
import { keepSampling } from './lib/sampling.ts';
import { Concerns } from './lib/watching.ts';
import { readinessQuery, refreshSignal } from './messages.ts';
import type { WatchOrder } from './model/orders.ts';
import type { Readiness } from './model/readiness.ts';

const PAUSE_MS = 60_000;

/** What one run of a watch hands on to the next. */
interface Watched extends Detected, SamplingTrouble {
  readiness?: Readiness;
}

/**
 * Looks at the servers of a service all the time, until it is cancelled: where its primary is is written down each second, several observers
 * say what has become of it, and whether it could be failed over is known before that is needed. Input: {"service":"web"}. `carried`
 * comes from the run that this one continues.
 */
export async function watch(given: WatchOrder, carried?: Watched): Promise<void> {
  const isContinued = workflowInfo().continuedFromExecutionRunId !== undefined;
  const begun = await begin(given, isContinued);
  const { journal, notices } = begun;
  let watched: Watched;
  try {
    watched = await watchOn(begun, isContinued ? carried : undefined);
    // The next run knows nothing of what this one told.
    await notices.close('goes on');
    // A new run would not know of a cancellation that came meanwhile.
    const scope = CancellationScope.current();
    if (scope.consideredCancelled) await scope.cancelRequested;
  } catch (error) {
    await notices.settle();
    await closeBy(journal, isCancellation(error) ? 'cancelled' : 'failed');
    endBy(journal, error);
    throw error;
  }
  await continueAsNew<typeof watch>(begun.order, watched);
}

/** A new run refuses what it does not know; one that has watched for months waits until it is known again. */
async function begin(given: WatchOrder, isContinued: boolean): Promise<BegunService<WatchOrder>> {
  for (;;) {
    try {
      const begun = await beginService<WatchOrder>('watch', given, { 'service!': 'text' });
      // It recovers nothing, so that no clock runs.
      delete begun.journal.progress.rto;
      return begun;
    } catch (error) {
      if (isCancellation(error) || !isContinued) throw error;
      await sleep(PAUSE_MS, { summary: 'pause before the service is looked up again' });
    }
  }
}

/** Until the history is long, or the configuration another one. */
async function watchOn(begun: BegunService<WatchOrder>, before: Watched | undefined): Promise<Watched> {
  const { cluster, service, journal, notices } = begun;
  let isStale = false;
  const shared = {
    cluster,
    service,
    journal,
    notices,
    concerns: new Concerns(journal),
    startAfresh: () => void (isStale = true),
  };
  const detection = new Detection(shared, before);
  const watching = { ...shared, isTroubled: () => detection.isTroubled };
  const trouble: SamplingTrouble = before?.missed === undefined ? {} : { missed: before.missed };
  const readiness = new ReadyWatch(watching, before ?? {});
  setHandler(refreshSignal, shared.startAfresh);
  setHandler(readinessQuery, () => readiness.newest ?? null);
  journal.step(`watch ${cluster.nodes.map(({ name }) => name).join(', ')}`);
  const scope = new CancellationScope();
  const parts = scope.run(() => Promise.all([keepSampling(watching, trouble), detection.run(), readiness.run()]));
  parts.catch(() => undefined);
  try {
    await Promise.race([parts, condition(() => isStale || workflowInfo().continueAsNewSuggested)]);
  } finally {
    scope.cancel();
    await CancellationScope.nonCancellable(() => parts.catch(() => undefined));
  }
  return { ...detection.detected, ...trouble, ...(readiness.newest ? { readiness: readiness.newest } : {}) };
}
