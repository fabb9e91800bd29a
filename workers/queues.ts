import { hostQueue, TASK_QUEUE } from '../workflows/model/names.ts';

/** Queues a worker serves: the common one with workflows, and its host's own for steps that must run on one machine. */
export function queuesOf(host: string): { common: string; own: string } {
  return { common: TASK_QUEUE, own: hostQueue(host) };
}
