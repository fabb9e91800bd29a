import { describeConnection } from '../../io/postgres/choose-server.ts';
import { defineSource } from '../source.ts';
import { takeBackup } from './backup/index.ts';
import { checkSource } from './check-servers.ts';
import { createPointFiles } from './files/index.ts';
import { createForensicCopying } from './forensic/index.ts';
import { identityOf } from './identity.ts';
import { postgresSchema } from './options.ts';
import { createRecovery } from './recovery/index.ts';
import { createRowRescue } from './rescue/index.ts';
import { createLogShipping } from './wal/index.ts';

/** A PostgreSQL cluster, physically: base backup and WAL over the replication protocol, without an agent on its host. */
export const postgresSource = defineSource({
  kind: 'postgres',
  schema: postgresSchema,
  describe: (options) => describeConnection(options.connection),
  open: (name, options, run) => ({
    identity: () => identityOf(options, run),
    check: (wants) => checkSource(options, run, wants),
    backup: (out, backup) => takeBackup(options, { out, backup, run }),
    recovery: createRecovery(name, options, run),
    log: createLogShipping(name, options, run),
    files: createPointFiles(options, run),
    rows: createRowRescue(options, run),
    forensic: createForensicCopying(options, run),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
});
