import type { ZodType } from 'zod';
import { z } from 'zod';
import { approvalSchema } from './approval-schema.ts';
import { clusterSchema } from './cluster-schema.ts';

/** What every kind of check takes beside its own options. */
export const checkShape = { name: z.string().min(1).max(100) };

/** What users rely on: a source, what sends its clients to it, and who may move them. */
const serviceShape = {
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
  /** Servers that can take each other's place: what failover needs. */
  cluster: clusterSchema.optional(),
};

function assembled<Check>(check: ZodType<Check>) {
  return z.strictObject({ ...serviceShape, checks: z.array(check).default([]) });
}

/** What every kind of switch takes beside its own options. */
export const switchShape = {
  /** Name of the worker's host that moves it; absent: any. */
  host: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a worker')
    .optional(),
};

export function serviceSchemaOf<Check>(check: ZodType<Check>): ReturnType<typeof assembled<Check>> {
  return assembled(check);
}
