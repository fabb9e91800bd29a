import { z } from 'zod';
import { pathOption } from '../../activities/io/option-types.ts';
import { secretRefSchema } from '../../activities/io/secret.ts';
import type { CheckedFile } from '../../activities/config/read.ts';
import { checkText } from '../../activities/config/read.ts';
import { problemsOf } from '../../activities/config/problem.ts';
import type { Problem } from '../../activities/config/problem.ts';
import { configSchemaOf } from '../../activities/config/schema.ts';
import { STORES } from '../../activities/stores/index.ts';

/** Kinds with one of every shape an option can have, so that the messages do not depend on a real one. */
const database = z.strictObject({
  connection: z.strictObject({
    host: z.string().default('127.0.0.1'),
    port: z.int().min(1).max(65_535).default(5432),
    password: secretRefSchema.optional(),
  }),
  probes: z
    .array(z.strictObject({ sql: z.string().min(1), equals: z.union([z.string(), z.number(), z.boolean()]) }))
    .default([]),
  restore: z.strictObject({ scratch: pathOption.default('/var/tmp/lifeboat') }).prefault({}),
});

export const TEST_SCHEMA = configSchemaOf({
  stores: STORES,
  sources: [{ kind: 'postgres', schema: database }],
  notifiers: [{ kind: 'webhook', schema: z.strictObject({ url: z.url(), token: secretRefSchema.optional() }) }],
  switches: [{ kind: 'command', schema: z.strictObject({ run: z.array(z.string()).min(1) }) }],
  checks: [{ kind: 'command', schema: z.strictObject({ run: z.array(z.string()).min(1) }) }],
});

export const GOOD = `temporal: { address: 127.0.0.1:7233, namespace: default }
keys:     { root: { file: keys/root.key }, recovery: { public: keys/recovery.pub }, signing: { file: keys/signing.key } }
stores:
  local:   { kind: filesystem, path: /var/lib/lifeboat }
  offsite:
    kind: s3
    bucket: backups
    endpoint: http://127.0.0.1:7070
    pathStyle: true
    accessKeyId: { env: A }
    secretAccessKey: { env: B }
sources:
  shop:
    kind: postgres
    connection: { host: 127.0.0.1, port: 5432, password: { env: SHOP_PASSWORD } }
    store: local
    wal: { shipEvery: 5s }
    schedule: { backup: { cron: "0 2 * * *", timezone: UTC } }
    objectives: { rto: 1h, rpo: 5m }
    probes: [ { sql: "select count(*) > 0 from orders", equals: true } ]
`;

export function check(text: string, path = '/etc/lifeboat/lifeboat.yml'): CheckedFile {
  return checkText(path, text, TEST_SCHEMA);
}

/** GOOD with one piece of its text replaced; fails when the piece is not there. */
export function withChange(from: string, to: string): string {
  if (!GOOD.includes(from)) throw new Error(`the good file has no ${from}`);
  return GOOD.replace(from, to);
}

/** The problems of a file; none when it is good. */
export function problemsIn(text: string): readonly Problem[] {
  try {
    check(text);
    return [];
  } catch (error) {
    return problemsOf(error);
  }
}
