import type { ZodType } from 'zod';
import { z } from 'zod';
import { durationOption } from '../io/option-types.ts';
import { programShape } from '../io/program.ts';

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

/** Exit 0 says that the service works. It gets LIFEBOAT_SERVICE, LIFEBOAT_CHECK, LIFEBOAT_HOST and LIFEBOAT_PORT. */
const check = z.strictObject({ name: z.string().min(1).max(100), ...programShape });

/** What users rely on: a source, what sends its clients to it, and who may move them. */
export const serviceSchema = z.strictObject({
  source: z.string(),
  /** Names of switches, in the order in which they are moved. */
  traffic: z.array(z.string()).min(1),
  steps: z
    .array(z.int().min(1).max(100))
    .default([1, 10, 50, 100])
    .refine((steps) => steps.at(-1) === 100 && steps.every((step, at) => step > (steps[at - 1] ?? 0)), {
      message: 'rising shares, the last of them 100',
    }),
  /** listen_addresses of a recovered server that is to take over. */
  listen: z
    .string()
    .regex(/^[0-9A-Za-z.:*, -]+$/, 'addresses as listen_addresses takes them')
    .default('127.0.0.1'),
  /** Host under which clients reach the recovering host; absent: 127.0.0.1. */
  address: z
    .string()
    .regex(/^(?:[^\s:[\]]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/, 'a host name or an address, without a port')
    .default('127.0.0.1'),
  approval: approvalSchema.prefault({}),
  checks: z.array(check).default([]),
});

/** What every kind of switch takes beside its own options. */
export const switchShape = {
  /** Name of the worker's host that moves it; absent: any. */
  host: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a worker')
    .optional(),
};
