import { z } from 'zod';
import type { ServerOptions } from '../../io/postgres/options.ts';
import { connectionSchema, serverSchema } from '../../io/postgres/options.ts';
import { durationOption, pathOption } from '../../io/option-types.ts';

const value = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** One question to the recovered database: the first column of the first row against exactly one expectation. */
export const probeSchema = z
  .strictObject({
    sql: z.string().min(1),
    /** Default: that of the connection. */
    database: z.string().min(1).optional(),
    equals: value.optional(),
    atLeast: z.number().optional(),
    atMost: z.number().optional(),
    /** True: at least one row comes back; false: none does. */
    rows: z.boolean().optional(),
  })
  .refine(
    ({ equals, atLeast, atMost, rows }) =>
      [equals, atLeast, atMost, rows].filter((wanted) => wanted !== undefined).length === 1,
    'needs exactly one of equals, atLeast, atMost, rows',
  );

export type Probe = z.infer<typeof probeSchema>;

export const restoreSchema = z.strictObject({
  /** Folder with postgres, initdb and pg_ctl of the source's major version; absent: looked for in the usual places. */
  binaries: pathOption.optional(),
  /** User that recovered servers run as when the worker is root; PostgreSQL refuses root. */
  runAs: z.string().min(1).optional(),
  /** Where restores without a directory and drills put their clusters. */
  scratch: pathOption.default('/var/tmp/lifeboat'),
  /** Settings given to the recovered server on top of the source's own. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).default({}),
  /** Server that databases and rows are brought back into, as a role that may write there; absent: the source, as its connection says. */
  server: serverSchema.optional(),
  /** Longest wait for a recovered server to start and to reach a consistent state, beyond which it is taken for hung. */
  startTimeout: durationOption.prefault('5m'),
});

/** How the files of a base backup are read. */
export const filesSchema = z.strictObject({
  /** local: by this worker, which runs on the host of the database; stream: by the server's walsender; auto: local where that can be. */
  read: z.enum(['auto', 'local', 'stream']).default('auto'),
  /** Where this host sees the data directory; absent: where the server says it is. */
  dataDirectory: pathOption.optional(),
});

export const postgresSchema = z.strictObject({
  connection: connectionSchema,
  files: filesSchema.prefault({}),
  restore: restoreSchema.prefault({}),
  probes: z.array(probeSchema).default([]),
});

export type PostgresOptions = z.infer<typeof postgresSchema>;
/** The same for one server of the cluster, the one that a piece of work was given to. */
export type OneServer = Omit<PostgresOptions, 'connection'> & { connection: ServerOptions };
