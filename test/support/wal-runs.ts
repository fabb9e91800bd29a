import assert from 'node:assert/strict';
import { CancelledFailure } from '@temporalio/client';
import { untilCancelled } from './workflow-answers.ts';
import type { StartOptions, TestRun, WorkflowWorld } from './workflow-env.ts';

/** How an attempt to stream ends; the last one lasts. */
export type Attempt = (attempt: number, run: TestRun) => unknown;

/** Starts `wal`; `attempts` says how its attempts to stream end, the last one of them lasts. */
export async function streaming(
  world: WorkflowWorld,
  attempts: Attempt,
  { script = {}, ...options }: StartOptions = {},
): Promise<{ run: TestRun; lasting: Promise<void> }> {
  const lasting = Promise.withResolvers<void>();
  let run: TestRun = undefined as never;
  let attempt = 0;
  const streamWal = async (): Promise<void> => {
    await attempts(++attempt, run);
    lasting.resolve();
    await untilCancelled();
  };
  const gate = Promise.withResolvers<void>();
  run = await world.start('wal', { ...options, script: { ...script, streamWal }, before: () => gate.promise });
  gate.resolve();
  return { run, lasting: lasting.promise };
}

export async function cancelled(run: TestRun): Promise<void> {
  await run.handle.cancel();
  await assert.rejects(run.handle.result(), (error: Error) => error.cause instanceof CancelledFailure);
  assert.equal((await run.progress()).outcome, 'cancelled');
}
