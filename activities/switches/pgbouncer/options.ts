import { z } from 'zod';
import { durationOption, pathOption } from '../../io/option-types.ts';
import type { ServerOptions } from '../../io/postgres/connection.ts';
import { serverSchema } from '../../io/postgres/connection.ts';
import { secretRefSchema } from '../../io/secret.ts';

const consoleSchema = serverSchema
  .omit({ database: true, allowNewerServer: true })
  .extend({ port: z.int().min(1).max(65_535).default(6432) });

export const schema = z.strictObject({
  /** The admin console, as a user of admin_users. */
  console: consoleSchema,
  /** Entries of [databases] that are led elsewhere, all of them to one server. */
  databases: z
    .array(z.string().regex(/^[A-Za-z0-9_.-]{1,60}$/, 'the name of an entry: letters, digits, "_", "." and "-"'))
    .min(1)
    .max(100)
    .refine((names) => new Set(names).size === names.length, 'each entry once'),
  /** The file with these entries, on the host of the worker that moves it; pgbouncer.ini has it by %include. */
  file: pathOption,
  /** Who asks through the pooler which server answers; absent: the user of the console. */
  through: z.strictObject({ user: z.string().min(1), password: secretRefSchema.optional() }).optional(),
  /** How long transactions may take to their end when traffic is stopped (sessions, in session pooling). */
  drain: durationOption.prefault('10s'),
  /** And then: their clients are cut off, or nothing is moved. */
  afterDrain: z.enum(['kill', 'give-up']).default('kill'),
  /** For one command of the console, one query through the pooler. */
  timeout: durationOption.prefault('10s'),
});

export type Options = z.infer<typeof schema>;

/** One switch of this kind. */
export interface Use {
  name: string;
  options: Options;
}

export function consoleServer({ options }: Use): ServerOptions {
  return { ...options.console, database: 'pgbouncer', allowNewerServer: true };
}

/** As a client of an entry. */
export function throughServer({ options }: Use, database: string): ServerOptions {
  const { password: _, ...server } = options.console;
  const who = options.through ?? options.console;
  const { user, password } = who;
  return { ...server, user, ...(password ? { password } : {}), database, allowNewerServer: true };
}
