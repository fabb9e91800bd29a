import { z } from 'zod';
import { failureFacts, findFailure } from '../../workflows/model/failure.ts';
import { durationOption } from '../io/option-types.ts';
import { parseCron } from './cron.ts';
import { timezoneProblem } from './timezone.ts';

const SHORTEST_MS = 60_000;
const TEN_YEARS_MS = 3650 * 86_400_000;

/** When something is done by the clock. */
export const scheduleSchema = z
  .strictObject({
    cron: z.string().superRefine(cronIssue).optional(),
    every: durationOption
      .refine((ms) => ms >= SHORTEST_MS && ms <= TEN_YEARS_MS, 'at least 1m, at most ten years')
      .optional(),
    timezone: z.string().superRefine(timezoneIssue).default('UTC'),
    paused: z.boolean().optional(),
  })
  .refine((at) => (at.cron === undefined) !== (at.every === undefined), 'either cron or every');

export type ScheduleFile = z.output<typeof scheduleSchema>;

function cronIssue(text: string, context: z.RefinementCtx): void {
  try {
    parseCron(text);
  } catch (error) {
    if (!findFailure(error)) throw error;
    context.addIssue({ code: 'custom', message: failureFacts(error).expected ?? 'a cron expression' });
  }
}

function timezoneIssue(zone: string, context: z.RefinementCtx): void {
  const message = timezoneProblem(zone);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
}
