import { serverSchema } from '../../../io/postgres/options.ts';
import type { ServerOptions } from '../../../io/postgres/options.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { DumpedDatabase } from '../../../../workflows/model/dump.ts';
import type { LogicalOptions } from '../options.ts';
import { placeOf } from './place.ts';

/** The server that a plan restores into, and as whom. */
export function destinationOf(plan: RecoveryPlan, options: LogicalOptions): ServerOptions {
  if (plan.dump?.into) return serverOf(options);
  return serverSchema.parse({
    host: placeOf(plan).socket,
    port: plan.port,
    user: plan.settings['superuser'] ?? 'postgres',
    // It is never restored into, and always there.
    database: 'template1',
  });
}

export function serverOf(options: LogicalOptions): ServerOptions {
  return options.restore.server ?? options.connection;
}

/** Under which name a database is restored. */
export function nameOf(plan: RecoveryPlan, database: DumpedDatabase): string {
  return plan.dump?.into?.temporary ?? database.name;
}
