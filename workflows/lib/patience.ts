import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';

export interface Patience {
  afterMs: number;
  /** Shown in the Temporal UI beside the timer. */
  summary: string;
  then(): void;
}

/** Does `then` once when the work has not ended after `afterMs`. The work itself is not touched. */
export async function whenLonger<T>(work: () => Promise<T>, { afterMs, summary, then }: Patience): Promise<T> {
  const timer = new CancellationScope();
  void timer
    .run(async () => {
      await sleep(afterMs, { summary });
      then();
    })
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  try {
    return await work();
  } finally {
    timer.cancel();
  }
}

export interface Worry extends Omit<Patience, 'then'> {
  journal: Journal;
  notices: Notices;
  /** What a person should look at meanwhile. */
  attention: string;
  /** What people are told of it, a P1 of its own; it is over when the work ends well. */
  about: string;
  title: string;
  body: string;
}

/** Calls people when the work has not ended after `afterMs`, and tells them when it has. One that fails is told by who fails. */
export async function worryWhenLonger<T>(work: () => Promise<T>, worry: Worry): Promise<T> {
  const { journal, notices, attention, about, title, body, ...patience } = worry;
  let isTold = false;
  const then = (): void => {
    isTold = true;
    journal.attention(attention);
    notices.send({ severity: 'critical', title, body, about });
  };
  const result = await whenLonger(work, { ...patience, then });
  // What somebody else has to do stays.
  if (journal.progress.attention === attention) journal.attention(undefined);
  if (isTold) notices.over(about, { title: `no longer: ${title}`.slice(0, 300), body: 'It is done.' });
  return result;
}
