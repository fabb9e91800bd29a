import type { ZodType } from 'zod';
import { z } from 'zod';
import { durationOption } from '../io/option-types.ts';

const SHORTEST_MS = 60_000;
const LONGEST_MS = 30 * 86_400_000;

const within: ZodType<number, string> = durationOption.refine(
  (ms) => ms >= SHORTEST_MS && ms <= LONGEST_MS,
  'at least 1m, at most 30d',
);

const person = z.string().min(1).max(200);

/** Who has to agree before traffic moves, or rows are written. */
export const approvalSchema = z
  .strictObject({
    of: z.int().min(1).max(20).default(1),
    from: z.array(person).default([]),
    byAnother: z.boolean().default(true),
    within: within.prefault('1h'),
  })
  .refine(({ from }) => new Set(from).size === from.length, 'everybody in "from" once')
  .refine(({ of, from }) => from.length === 0 || from.length >= of, 'at least as many names in "from" as "of" wants');
