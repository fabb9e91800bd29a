import { failure, failureTypeOf, isRetryable } from '../workflows/model/failure.ts';
import { priorityOf } from '../workflows/model/severity.ts';
import { withRun } from './activity-run.ts';
import type { Deps } from './deps.ts';
import type { Run } from './io/run.ts';
import { redactor } from './known-secrets.ts';
import { findNotifier } from './notifiers/index.ts';
import type { Message, Sent } from './notifiers/notifier.ts';
import { sourceConfig } from './use-source.ts';
import { reachableNow } from './wal.ts';

/** A message, of which what a run of an earlier version did not know is absent. */
export interface NotifyTask
  extends Omit<Message, 'priority' | 'group' | 'state'>, Partial<Pick<Message, 'group' | 'state'>> {
  /** Name of the one notifier that is told; absent: everybody the source names. */
  to?: string;
  /** Say also what can be restored now. */
  windows?: true;
}

interface Notified extends Sent {
  told: string[];
  failed: string[];
  /** What was said of what can be restored. */
  windows?: string;
}

/**
 * Tells one notifier, or everybody the source names: one that is down does not keep the others from hearing, and the whole is
 * tried again. What is known to be a secret is not in what goes out.
 */
export function notify(deps: Deps, { windows: wanted, to, ...given }: NotifyTask): Promise<Notified> {
  return withRun(deps, async (run) => {
    const windows = wanted ? await windowsFor(deps, given.source, run) : undefined;
    const message = messageOf(deps, {
      ...given,
      body: windows === undefined ? given.body : `${given.body}\n\n${windows}`,
    });
    const answer = to === undefined ? await tellAll(deps, message, run) : await tellOne(deps, { to, message, run });
    return windows === undefined ? answer : { ...answer, windows };
  });
}

function messageOf(deps: Deps, given: Omit<NotifyTask, 'to' | 'windows'>): Message {
  const clean = redactor(deps.config);
  const { severity, run, group = run, state = 'open', title, body } = given;
  return {
    ...given,
    ...{ priority: priorityOf(severity), state, title: clean(title), body: clean(body) },
    // Two configurations may have a source of one name, and one account of PagerDuty.
    group: `${deps.config.name}/${group}`,
  };
}

async function tellOne(deps: Deps, use: { to: string; message: Message; run: Run }): Promise<Notified> {
  const { to, message, run } = use;
  const notifier = deps.config.notifiers[to];
  if (!notifier) {
    throw failure('NotFound', `notifier ${to} is not configured on host ${deps.host}`, {
      ...{ place: `notifiers in ${deps.config.path}`, expected: 'a notifier of that name', found: 'none' },
      hint: 'lifeboat config explain notifiers',
    });
  }
  try {
    const { thread } = await findNotifier(notifier.kind).send(notifier.options, message, run);
    return { told: [to], failed: [], ...(thread === undefined ? {} : { thread }) };
  } catch (error) {
    run.signal.throwIfAborted();
    deps.log.warn('notifier failed', { name: to, type: failureTypeOf(error) });
    if (isRetryable(error)) throw error;
    return { told: [], failed: [to] };
  }
}

async function tellAll(deps: Deps, message: Message, run: Run): Promise<Notified> {
  const names = sourceConfig(deps, message.source).notify;
  // What an attempt goes on from is of one notifier.
  const { resume: _, ...own } = run;
  const alone: Run = { ...own, progress: () => undefined };
  const outcomes = await Promise.allSettled(
    names.map(async (name) => {
      const notifier = deps.config.notifiers[name];
      if (notifier) await findNotifier(notifier.kind).send(notifier.options, message, alone);
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
}

/** For what can be restored: nobody waits longer to hear the rest. */
const WINDOWS_MS = 10_000;

/** A vault that cannot be read, or does not answer, keeps nobody from hearing the rest. */
async function windowsFor(deps: Deps, source: string, { clock, signal }: Run): Promise<string | undefined> {
  const asked = reachableNow(deps, source);
  asked.catch(() => undefined);
  try {
    return await Promise.race([asked, clock.sleep(WINDOWS_MS, signal).then(() => undefined)]);
  } catch (error) {
    signal.throwIfAborted();
    deps.log.warn('what can be restored could not be found out', { type: failureTypeOf(error) });
    return undefined;
  }
}
