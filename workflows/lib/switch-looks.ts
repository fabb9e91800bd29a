import { CancellationScope } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.ts';
import { failureTypeOf, isRetryable } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { ServiceFacts, SwitchFacts } from '../model/service.ts';
import type { Observed } from '../model/traffic.ts';
import { locating, looking } from '../options.ts';
import { messageOf } from './conclude.ts';

/** What a run has found of a switch before it moves anything. */
export interface FoundSwitch {
  each: SwitchFacts;
  /** Absent: nobody could say. */
  observed?: Observed;
  /** Why it may not do what it is asked to. */
  doubt?: string;
}

/** In their order, one after the other; those that may be away all at once, for somebody waits. */
export async function* looksAt(service: ServiceFacts, withoutAfterMs?: number): AsyncGenerator<FoundSwitch> {
  if (withoutAfterMs !== undefined) {
    yield* await Promise.all(service.traffic.map((each) => glance(service, each, withoutAfterMs)));
    return;
  }
  for (const each of service.traffic) yield { each, observed: await locate(service, each, { check: true }) };
}

/** Where a switch sends traffic now; with `check`, and that it could move it. */
export function locate(
  { source }: Pick<ServiceFacts, 'source'>,
  each: SwitchFacts,
  more: { check?: true } = {},
): Promise<Observed> {
  const acts: Activities = locating({ summary: summaryOf(each), ...queueOf(each) });
  return acts.locateTraffic({ source, name: each.name, ...more });
}

/** The same of one that may be gone with its site: no answer within `patienceMs` is an answer, and so is that it would not move. */
async function glance(
  { source }: Pick<ServiceFacts, 'source'>,
  each: SwitchFacts,
  patienceMs: number,
): Promise<FoundSwitch> {
  const acts: Activities = looking({ summary: summaryOf(each), ...queueOf(each) }, patienceMs);
  try {
    return { each, observed: await acts.locateTraffic({ source, name: each.name, check: true }) };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    const doubt = messageOf(error);
    // Who refuses may move all the same; who does not answer is not asked twice.
    if (failureTypeOf(error) === undefined || isRetryable(error)) return { each, doubt };
    return { each, doubt, ...(await acts.locateTraffic({ source, name: each.name }).then(seen, unseen)) };
  }
}

const seen = (observed: Observed): { observed?: Observed } => ({ observed });

function unseen(error: unknown): { observed?: Observed } {
  if (CancellationScope.current().consideredCancelled) throw error;
  return {};
}

export function queueOf({ host }: SwitchFacts): { taskQueue?: string } {
  return host === undefined ? {} : { taskQueue: hostQueue(host) };
}

function summaryOf({ name }: SwitchFacts): string {
  return `look where switch ${name} sends traffic`;
}
