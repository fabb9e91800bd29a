import type { ZodType } from 'zod';
import { z } from 'zod';
import { failure } from '../../workflows/model/failure.ts';
import { MOST_STREAMS, NAME_FORM, NAME_MOST_LETTERS } from '../../workflows/model/names.ts';
import { SERVER_WISHES } from '../../workflows/model/server-role.ts';
import { parseDuration } from '../../workflows/model/units.ts';
import { USUAL_CHECK } from '../checks/index.ts';
import { bytesOption, durationOption, pathOption } from '../io/option-types.ts';
import { approvalSchema } from './approval-schema.ts';
import { escalationSchema, notifierShape } from './notifier-schema.ts';
import { scheduleSchema as schedule } from './schedule-schema.ts';
import { checkShape, serviceSchemaOf, switchShape } from './service-schema.ts';

const MIB = 2 ** 20;
const TEN_YEARS_MS = parseDuration('3650d');

/** Names become part of keys in a store, of workflow ids and of a replication slot. */
const name = z
  .string()
  .regex(NAME_FORM, 'lower case letters, digits and "-" inside')
  .max(NAME_MOST_LETTERS, `at most ${NAME_MOST_LETTERS} characters`);

function duration(minMs: number, minText: string): ZodType<number, string> {
  return durationOption.refine((ms) => ms >= minMs && ms <= TEN_YEARS_MS, `at least ${minText}, at most ten years`);
}

function bytes(min: number, max: number, text: string): ZodType<number, string> {
  return bytesOption.refine((size) => size >= min && size <= max, text);
}

const keyFile = z.strictObject({ file: pathOption });

const temporal = z.strictObject({
  address: z
    .string()
    .regex(/^(?:\[[0-9a-fA-F:]+\]|[^\s:/@]+):[0-9]{1,5}$/, 'host:port')
    .optional(),
  namespace: z.string().min(1).optional(),
  ui: z.url().optional(),
  encryptionKey: keyFile.optional(),
});

const keys = z.strictObject({
  root: keyFile,
  recovery: z.strictObject({ public: pathOption }).optional(),
  signing: keyFile,
  trusted: z.array(keyFile).default([]),
});

/** Newest days, weeks ... of which one point each is kept. */
const periods = z.int().min(0).max(10_000).default(0);

/** The part of a source that is the same for every kind; the rest of the mapping is the kind's own. */
export const sourceShape = {
  store: z.string(),
  backup: z
    .strictObject({
      level: z.int().min(1).max(19).default(3),
      checkpoint: z.enum(['fast', 'spread']).default('fast'),
      partSize: bytes(MIB, 256 * MIB, 'between 1MiB and 256MiB').prefault('16MiB'),
      parallel: z.int().min(1).max(64).default(4),
      chainLimit: z.int().min(1).max(1000).default(14),
      maxRate: bytes(32 * 1024, 2 ** 40, 'at least 32KiB (a second)').optional(),
      from: z.enum(SERVER_WISHES).optional(),
      standbyWait: duration(0, '0s (none)').prefault('5m'),
    })
    .prefault({}),
  wal: z
    .strictObject({
      receive: z.enum(['stream', 'archive']).default('stream'),
      host: name.optional(),
      socket: pathOption.refine((path) => path.length <= 90, 'at most 90 letters').optional(),
      socketMode: z
        .string()
        .regex(/^0[0-7]{3}$/, 'permission bits in quotes, like "0660"')
        .default('0660'),
      fetchSocket: pathOption.refine((path) => path.length <= 90, 'at most 90 letters').optional(),
      shipEvery: duration(100, '100ms').prefault('500ms'),
      synchronous: z.boolean().default(false),
      newBaseAfterHole: z.boolean().default(true),
      heartbeatEvery: duration(0, '0s (none)').prefault('30s'),
      spool: bytes(16 * MIB, 16 * 2 ** 30, 'between 16MiB and 16GiB').prefault('64MiB'),
      slot: z
        .string()
        .regex(/^[a-z0-9_]{1,63}$/, 'a slot name: a-z, 0-9 and _, at most 63')
        .optional(),
      from: z.enum(SERVER_WISHES).optional(),
      streams: z.int().min(1).max(MOST_STREAMS).default(1),
      hosts: z.array(name).optional(),
    })
    .prefault({}),
  schedule: z
    .strictObject({
      ...{ backup: schedule.optional(), incremental: schedule.optional(), differential: schedule.optional() },
      ...{ drill: schedule.optional(), retention: schedule.optional() },
      ...{ verify: schedule.optional(), walVerify: schedule.optional() },
    })
    .prefault({}),
  retention: z
    .strictObject({
      window: duration(0, '0s').prefault('14d'),
      fulls: z.int().min(1).max(1000).default(2),
      ...{ daily: periods, weekly: periods, monthly: periods, quarterly: periods, annual: periods },
    })
    .optional(),
  objectives: z
    .strictObject({ rto: duration(1000, '1s').optional(), rpo: duration(1000, '1s').optional() })
    .prefault({}),
  /** Who has to agree before rows are written into it. */
  approval: approvalSchema.prefault({}),
  notify: z.array(z.string()).default([]),
  escalation: escalationSchema,
};

/** What the registries of stores, sources, notifiers, switches and checks have in common. */
export interface Kind {
  readonly kind: string;
  readonly schema: ZodType;
  readonly dumps?: true;
}

export interface Registries {
  stores: readonly Kind[];
  sources: readonly Kind[];
  notifiers: readonly Kind[];
  switches: readonly Kind[];
  checks: readonly Kind[];
}

/** One mapping per kind, told apart by `kind`: what the kind takes, and what every member of the family takes. */
function family<Shape extends z.ZodRawShape>(
  kinds: readonly Kind[],
  shared: Shape,
): ZodType<{ kind: string } & z.output<z.ZodObject<Shape>>> {
  return formsOf(kinds, shared, (kind) => z.literal(kind)) as never;
}

/** The same, where a member that names no kind is of the usual one. */
function familyWithUsual<Shape extends z.ZodRawShape>(
  kinds: readonly Kind[],
  shared: Shape,
  usual: string,
): ZodType<{ kind?: string } & z.output<z.ZodObject<Shape>>> {
  const named = (kind: string): ZodType => (kind === usual ? z.literal(kind).optional() : z.literal(kind));
  return formsOf(kinds, shared, named) as never;
}

function formsOf(kinds: readonly Kind[], shared: z.ZodRawShape, named: (kind: string) => ZodType): ZodType {
  const forms = kinds.map(({ kind, schema }) => {
    if (!(schema instanceof z.ZodObject)) throw failure('Bug', `kind ${kind} has a schema that is no object`);
    const taken = Object.keys(schema.shape as object).find((key) => key === 'kind' || Object.hasOwn(shared, key));
    if (taken !== undefined) throw failure('Bug', `kind ${kind} takes the reserved key ${taken}`);
    return schema.safeExtend({ ...shared, kind: named(kind) });
  });
  return z.discriminatedUnion('kind', forms as never) as never;
}

function assembled(registries: Registries) {
  return z.strictObject({
    name: name.optional(),
    temporal: temporal.prefault({}),
    keys,
    stores: z.record(name, family(registries.stores, {})),
    notifiers: z.record(name, family(registries.notifiers, notifierShape)).default({}),
    sources: z.record(name, family(registries.sources, sourceShape)),
    switches: z.record(name, family(registries.switches, switchShape)).default({}),
    services: z.record(name, serviceSchemaOf(familyWithUsual(registries.checks, checkShape, USUAL_CHECK))).default({}),
  });
}

export type ConfigSchema = ReturnType<typeof assembled>;
export type ConfigFile = z.output<ConfigSchema>;

/** The schema of the whole file, assembled from the registries. */
export function configSchemaOf(registries: Registries): ConfigSchema {
  return assembled(registries);
}
