import { addressOf, withConnection } from '../../io/postgres/connection.ts';
import { placeOf } from '../../io/postgres/failures.ts';
import { defineSource } from '../source.ts';
import { checkSource } from './check.ts';
import { takeDump } from './dump/index.ts';
import { KIND, momentOf } from './identity.ts';
import { logicalSchema } from './options.ts';
import { createRestoring } from './restore/index.ts';

/** Databases of a PostgreSQL cluster, logically: pg_dump on one snapshot of each, proven against what that snapshot held. */
export const logicalSource = defineSource({
  kind: KIND,
  schema: logicalSchema,
  dumps: true,
  describe: (options) => placeOf(addressOf(options.connection)),
  open: (_name, options, run) => ({
    identity: async () =>
      (await withConnection(options.connection, { signal: run.signal }, (client) => momentOf(client))).identity,
    check: () => checkSource(options, run),
    backup: (out) => takeDump(options, { out, run }),
    recovery: createRestoring(options, run),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
});
