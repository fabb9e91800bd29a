import { z } from 'zod';
import { serverSchema } from '../../io/postgres/options.ts';
import { durationOption, pathOption } from '../../io/option-types.ts';

const jobs = z.int().min(1).max(64).default(2);

export const dumpSchema = z.strictObject({
  /** Folder with pg_dump and pg_dumpall, not older than the server; absent: looked for in the usual places. */
  binaries: pathOption.optional(),
  /** pg_dump processes at once, all on one snapshot; as many sessions take the checksums. */
  jobs,
  /** Roles, their settings, memberships and password hashes, and tablespaces. */
  globals: z.boolean().default(true),
  /** Longest wait for a table that somebody has locked. */
  lockTimeout: durationOption.prefault('1m'),
  /** Longest wait for a byte of pg_dump, beyond which it is taken for hung. */
  silence: durationOption.prefault('30m'),
});

export const restoreSchema = z.strictObject({
  /** Folder with postgres, initdb, psql and pg_restore of the source's major version or a newer one; absent: looked for. */
  binaries: pathOption.optional(),
  /** User that scratch clusters run as when the worker is root; PostgreSQL refuses root. */
  runAs: z.string().min(1).optional(),
  /** Where restores without a directory and drills put their clusters. */
  scratch: pathOption.default('/var/tmp/lifeboat'),
  /** pg_restore processes at once. */
  jobs,
  /** Settings of the scratch cluster, like the shared_preload_libraries that an extension wants. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).default({}),
  /** Longest wait for the scratch cluster to start. */
  startTimeout: durationOption.prefault('5m'),
  /** Server of restores into a database; absent: the source itself. */
  server: serverSchema.optional(),
});

export const logicalSchema = z.strictObject({
  connection: serverSchema,
  /** Absent: every database that is no template and takes connections. */
  databases: z.array(z.string().min(1)).min(1).optional(),
  dump: dumpSchema.prefault({}),
  restore: restoreSchema.prefault({}),
});

export type LogicalOptions = z.infer<typeof logicalSchema>;
