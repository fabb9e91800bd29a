import type { Client, WorkflowHandle } from '@temporalio/client';
import { isGrpcServiceError } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Activities } from '../../../activities/index.ts';
import { findFailure } from '../../../workflows/model/failure.ts';
import { TASK_QUEUE } from '../../../workflows/model/names.ts';
import type { InspectAnswer, WalAnswer } from '../../../workflows/model/results.ts';

/** PENDING_ACTIVITY_STATE_STARTED of temporal.api.enums.v1. */
const STARTED = 2;
/** gRPC: the server is away, or has just been. */
const AWAY = new Set([1, 4, 14]);
const NOT_FOUND = 5;
const AGAIN_MS = 200;
const LOOK_MS = 30;
/** No run here takes a tenth of it. */
const LONGEST_MS = 15 * 60_000;

export interface Running<T> {
  handle: WorkflowHandle;
  /** The server may be restarted meanwhile. */
  result: Promise<T>;
  /** True when `result` is settled. */
  isOver(): boolean;
}

export const SOURCE = 'shop';

/** Starts runs as anybody may, and waits for them whatever happens to the Temporal server. */
export class Runs {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  #asked = 0;
  /** Of the present action: their histories are evidence. */
  recent: WorkflowHandle[] = [];

  constructor(client: Client, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  async start<T>(workflow: string, order: object, workflowId: string): Promise<Running<T>> {
    const handle = await this.#patiently(() =>
      this.#client.workflow.start(workflow, { workflowId, taskQueue: TASK_QUEUE, args: [order] }),
    );
    this.recent.push(handle);
    let isOver = false;
    const result = this.#resultOf<T>(handle).finally(() => (isOver = true));
    result.catch(() => undefined);
    return { handle, result, isOver: () => isOver };
  }

  /** Resolves when a worker has one of the activities in its hands, or when the run is over. */
  async inStep({ handle, isOver }: Running<unknown>, names: readonly (keyof Activities)[]): Promise<boolean> {
    while (!isOver()) {
      const { raw } = await this.#patiently(() => handle.describe());
      const step = raw.pendingActivities?.find(
        ({ state, activityType }) => state === STARTED && names.some((name) => name === activityType?.name),
      );
      if (step) return true;
      await sleep(LOOK_MS, undefined, { signal: this.#signal });
    }
    return false;
  }

  async wal(): Promise<WalAnswer> {
    const order = { what: 'wal', source: SOURCE };
    const handle = await this.#patiently(() =>
      this.#client.workflow.start('inspect', {
        ...{ workflowId: `inspect/soak/${++this.#asked}`, taskQueue: TASK_QUEUE, args: [order] },
      }),
    );
    const answer = await this.#resultOf<InspectAnswer>(handle);
    if (answer.what !== 'wal') throw new Error(`inspect answered ${answer.what} instead of wal`);
    return answer.wal;
  }

  /** RUNNING, COMPLETED, FAILED ...; undefined when there is no such run. */
  statusOf(workflowId: string): Promise<string | undefined> {
    return this.#patiently(async () => {
      try {
        return (await this.#client.workflow.getHandle(workflowId).describe()).status.name;
      } catch (error) {
        if (isGrpcServiceError(error) && error.code === NOT_FOUND) return undefined;
        if ((error as Error).name === 'WorkflowNotFoundError') return undefined;
        throw error;
      }
    });
  }

  historyOf(workflowId: string): Promise<unknown> {
    return this.#client.workflow.getHandle(workflowId).fetchHistory();
  }

  async #resultOf<T>(handle: WorkflowHandle): Promise<T> {
    const { workflowId } = handle;
    const late = new AbortController();
    const signal = AbortSignal.any([this.#signal, late.signal]);
    const tooLong = sleep(LONGEST_MS, undefined, { signal }).then(() => {
      throw new Error(`run ${workflowId} has not ended after ${LONGEST_MS / 60_000} minutes`);
    });
    // A call that was waiting when the server died may wait for ever: each is asked anew on the connection of now.
    const result = this.#patiently(() => this.#client.workflow.getHandle(workflowId).result() as Promise<T>);
    try {
      return await Promise.race([result, tooLong]);
    } finally {
      tooLong.catch(() => undefined);
      late.abort();
    }
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isAway(error)) throw error;
        await sleep(AGAIN_MS, undefined, { signal: this.#signal });
      }
    }
  }
}

function isAway(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (isGrpcServiceError(at) && AWAY.has(at.code)) return true;
  return false;
}

/** What a run failed with, in the product's own words. */
export function typeAndMessageOf(error: unknown): { type: string; message: string } {
  const ours = findFailure(error);
  return { type: ours?.type ?? 'none', message: ours?.message ?? String(error) };
}
