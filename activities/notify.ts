import { failureTypeOf, isRetryable } from '../workflows/model/failure.ts';
import { withRun } from './activity-run.ts';
import type { Deps } from './deps.ts';
import { findNotifier } from './notifiers/index.ts';
import type { Message } from './notifiers/notifier.ts';
import { sourceConfig } from './use-source.ts';
import { reachableNow } from './wal.ts';

export interface NotifyTask extends Message {
  /** Say also what can be restored now. */
  windows?: true;
}

interface Notified {
  told: string[];
  failed: string[];
  /** What was said of what can be restored. */
  windows?: string;
}

/** Tells everybody the source names. One that is down does not keep the others from hearing; the whole is tried again. */
export function notify(deps: Deps, { windows: wanted, ...given }: NotifyTask): Promise<Notified> {
  return withRun(deps, async (run) => {
    const windows = wanted ? await windowsFor(deps, given.source) : undefined;
    const message = windows === undefined ? given : { ...given, body: `${given.body}\n\n${windows}` };
    const names = sourceConfig(deps, message.source).notify;
    const outcomes = await Promise.allSettled(
      names.map(async (name) => {
        const notifier = deps.config.notifiers[name];
        if (notifier) await findNotifier(notifier.kind).send(notifier.options, message, run);
      }),
    );
    const failed = outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [{ name: names[index] ?? '', reason: outcome.reason as unknown }] : [],
    );
    for (const { name, reason } of failed) deps.log.warn('notifier failed', { name, type: failureTypeOf(reason) });
    const again = failed.find(({ reason }) => isRetryable(reason));
    if (again) throw again.reason as Error;
    const lost = failed.map(({ name }) => name);
    const said = windows === undefined ? {} : { windows };
    return { told: names.filter((name) => !lost.includes(name)), failed: lost, ...said };
  });
}

/** A vault that cannot be read keeps nobody from hearing the rest. */
async function windowsFor(deps: Deps, source: string): Promise<string | undefined> {
  try {
    return await reachableNow(deps, source);
  } catch (error) {
    deps.log.warn('what can be restored could not be found out', { type: failureTypeOf(error) });
    return undefined;
  }
}
