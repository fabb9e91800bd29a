import { z } from 'zod';
import type { DumpFacts } from '../../../workflows/model/dump.ts';

const count = z.number().int().nonnegative();
const whole = z.string().regex(/^-?\d+$/);
const names = z.array(z.string());

const properties = z.object({
  ...{ owner: z.string(), encoding: z.string(), collate: z.string(), ctype: z.string(), provider: z.string() },
  ...{
    comment: z.string().optional(),
    locale: z.string().optional(),
    icuRules: z.string().optional(),
    connectionLimit: z.number().int(),
  },
  settings: z.array(z.object({ role: z.string().optional(), name: z.string(), value: z.string() })),
  grants: z
    .array(z.object({ grantee: z.string().optional(), privilege: z.string(), grantable: z.boolean() }))
    .optional(),
});

const table = z.object({
  ...{ schema: z.string(), name: z.string(), partitioned: z.literal(true).optional() },
  partitionOf: names.optional(),
  ...{ rows: count, bytes: count, checksum: whole, file: z.string().optional() },
  ...{ indexes: names.optional(), sequences: names.optional() },
});

const sequence = z.object({
  ...{ schema: z.string(), name: z.string(), value: whole.optional() },
  ...{ increment: whole, cycle: z.boolean() },
});

const database = z.object({
  ...{ name: z.string(), properties, schemaFile: z.string(), dataFiles: names },
  ...{ tables: z.array(table), sequences: z.array(sequence) },
  largeObjects: z.object({ count, bytes: count, checksum: whole }),
  ...{ schemas: names, extensions: names, objects: z.record(z.string(), count), roles: names },
});

export const dumpSchema = z.object({
  toolMajor: count,
  databases: z.array(database).min(1),
  globals: z.object({ passwords: z.boolean(), roles: names }).optional(),
}) as unknown as z.ZodType<DumpFacts>;
