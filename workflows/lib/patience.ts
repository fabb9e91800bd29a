import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

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
