import type { ZodType } from 'zod';
import { z } from 'zod';
import { USUAL_APPROVAL } from '../../workflows/model/service.ts';
import { formatDuration } from '../../workflows/model/units.ts';
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
    of: z.int().min(1).max(20).default(USUAL_APPROVAL.of),
    from: z.array(person).default(USUAL_APPROVAL.from),
    byAnother: z.boolean().default(USUAL_APPROVAL.byAnother),
    within: within.prefault(formatDuration(USUAL_APPROVAL.withinMs)),
  })
  .refine(({ from }) => new Set(from).size === from.length, 'everybody in "from" once')
  .refine(({ of, from }) => from.length === 0 || from.length >= of, 'at least as many names in "from" as "of" wants');
