import { z } from 'zod';
import { PRIORITIES } from '../../workflows/model/severity.ts';
import { durationOption } from '../io/option-types.ts';

const LONGEST_MS = 30 * 86_400_000;

const delay = durationOption.refine((ms) => ms <= LONGEST_MS, 'at most 30d').optional();

/** What every kind of notifier takes beside its own options. */
export const notifierShape = {
  /** What it tells; default: what is usual for its kind. */
  severities: z
    .array(z.enum(PRIORITIES))
    .min(1)
    .refine((given) => new Set(given).size === given.length, 'each of P1, P2, P3 and P4 once')
    .optional(),
  /** How long each is kept back: what is over or acknowledged by then is not told. */
  after: z.strictObject({ P1: delay, P2: delay, P3: delay, P4: delay }).prefault({}),
};

const STEPS = 10;

/** Who is told of a P1 that nobody acknowledges, one after the other; each delay counts from when it was told first. */
export const escalationSchema = z
  .array(
    z.strictObject({
      to: z.string(),
      after: durationOption.refine((ms) => ms >= 1000 && ms <= LONGEST_MS, 'at least 1s, at most 30d'),
    }),
  )
  .max(STEPS)
  .default([])
  .refine((steps) => steps.every(({ after }, at) => after > (steps[at - 1]?.after ?? 0)), {
    message: 'rising delays: each counts from the first message',
  });
