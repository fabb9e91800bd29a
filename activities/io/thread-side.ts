import { parentPort } from 'node:worker_threads';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { Answer, JobError, Question } from './threads.ts';

/** What a job came to; `moved` goes back without a copy and must not be used any more here. */
export interface Outcome<Result> {
  result: Result;
  moved: ArrayBuffer[];
}

/** The other side of `Threads`: does each job that comes, and answers it with its result or its failure. */
export function serveJobs<Job, Result>(work: (job: Job) => Outcome<Result> | Promise<Outcome<Result>>): void {
  parentPort?.on('message', ({ id, job }: Question<Job>) => {
    void answer(id, async () => work(job)).then(({ reply, moved }) => parentPort?.postMessage(reply, moved));
  });
}

async function answer<Result>(
  id: number,
  work: () => Promise<Outcome<Result>>,
): Promise<{ reply: Answer<Result>; moved: ArrayBuffer[] }> {
  try {
    const { result, moved } = await work();
    return { reply: { id, result }, moved };
  } catch (error) {
    return { reply: { id, error: asData(error) }, moved: [] };
  }
}

function asData(error: unknown): JobError {
  const facts = failureFacts(error);
  const message = findFailure(error)?.message ?? String(error);
  // The hint is a field of its own here: whoever makes the failure again appends it again.
  return { ...facts, type: failureTypeOf(error) ?? 'Bug', message: message.replace(` (hint: ${facts.hint})`, '') };
}
