import { Context } from '@temporalio/activity';
import { failure, failureFacts, failureTypeOf, findFailure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import type { NotifierTrial } from '../workflows/model/results.ts';
import { withRun } from './activity-run.ts';
import type { NotifierConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
import { isoTime } from './io/clock.ts';
import type { Run } from './io/run.ts';
import { findNotifier } from './notifiers/index.ts';
import type { Message } from './notifiers/notifier.ts';

/**
 * Sends a message to each notifier, or to the one that is named, and takes it back at once: what an incident is opened for is
 * resolved. One that fails is an answer. NotFound for an unknown name. A repeat has the same keys.
 */
export function tryNotifiers(deps: Deps, { notifier: name }: { notifier?: string }): Promise<NotifierTrial[]> {
  const chosen = Object.entries(deps.config.notifiers).filter(([each]) => name === undefined || each === name);
  if (chosen.length === 0) throw unknown(deps, name);
  return withRun(deps, (run) => Promise.all(chosen.map((each) => trial(deps, each, run))));
}

async function trial(deps: Deps, [name, config]: [string, NotifierConfig], run: Run): Promise<NotifierTrial> {
  const { kind, options } = config;
  const notifier = findNotifier(kind);
  const whom = notifier.describe(options);
  const { resume: _, ...own } = run;
  const alone: Run = { ...own, progress: () => undefined };
  try {
    const message = messageFor(deps, name);
    const { thread } = await notifier.send(options, message, alone);
    const end: Message = { ...message, key: `${message.key} over`, state: 'over', body: 'It was a test.' };
    await notifier.send(options, { ...end, ...(thread === undefined ? {} : { thread }) }, alone);
    return { name, kind, whom };
  } catch (error) {
    run.signal.throwIfAborted();
    const type = failureTypeOf(error);
    if (type === undefined) throw error;
    const message = findFailure(error)?.message ?? '';
    return { name, kind, whom, failed: { ...failureFacts(error), type, message } };
  }
}

function messageFor({ config, host, clock }: Deps, name: string): Message {
  const { workflowExecution } = Context.current().info;
  const run = workflowExecution?.workflowId ?? 'notify test';
  return {
    ...{ severity: 'info', priority: 'P4', title: `test of notifier ${name}`, source: name, run },
    body: `Lifeboat on host ${host} can reach you. Nothing is wrong, and nothing is to be done.`,
    ...{ key: `${run} ${name}`, group: `${config.name}/${run} ${name}`, state: 'open', at: isoTime(clock.nowMs()) },
  };
}

function unknown({ config, host }: Deps, name: string | undefined): Error {
  const known = Object.keys(config.notifiers);
  const near = name === undefined ? undefined : nearestName(name, known);
  const what = name === undefined ? 'no notifier is' : `notifier ${name} is not`;
  return failure('NotFound', `${what} configured on host ${host}`, {
    place: `notifiers in ${config.path}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : 'a notifier',
    found: name ?? 'none',
    hint: near === undefined ? 'lifeboat config explain notifiers' : `did you mean ${near}?`,
  });
}
