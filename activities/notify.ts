import { failureTypeOf, isRetryable } from '../workflows/model/failure.ts';
import { withRun } from './activity-run.ts';
import type { Deps } from './deps.ts';
import { findNotifier } from './notifiers/index.ts';
import type { Message } from './notifiers/notifier.ts';
import { sourceConfig } from './use-source.ts';

/** Tells everybody the source names. One that is down does not keep the others from hearing; the whole is tried again. */
export function notify(deps: Deps, message: Message): Promise<{ told: string[]; failed: string[] }> {
  return withRun(deps, async (run) => {
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
    return { told: names.filter((name) => !lost.includes(name)), failed: lost };
  });
}
