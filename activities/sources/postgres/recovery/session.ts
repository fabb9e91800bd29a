import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { ConnectMode, ServerOptions, SqlClient } from '../../../io/postgres/connection.ts';
import { serverSchema, withConnection } from '../../../io/postgres/connection.ts';
import { placeOf } from './place.ts';

/** The role that was made with the cluster; every cluster has it, under a name of its own. */
const SUPERUSER = 'superuser';

/** How sessions get to a recovered server: through our own socket, as its first superuser. */
export interface Recovered {
  connection: ServerOptions;
  settings: Record<string, string>;
}

export function recoveredServer(plan: RecoveryPlan): Recovered {
  const connection = serverSchema.parse({
    host: placeOf(plan).socket,
    port: plan.port,
    user: plan.settings[SUPERUSER] ?? 'postgres',
    database: 'postgres',
  });
  return { connection, settings: withoutTriggers(plan) };
}

export function withRecovered<T>(
  plan: RecoveryPlan,
  mode: ConnectMode,
  use: (client: SqlClient) => Promise<T>,
): Promise<T> {
  const { connection, settings } = recoveredServer(plan);
  return withConnection(connection, { ...mode, settings }, use);
}

/** Settings from 17 on that older servers refuse. */
const EVENT_TRIGGERS_VERSION = 170_000;

/**
 * Event triggers are the source's: one on login may lock everybody out, others may forbid what a proof does and rolls back.
 * Before 17 there are none on login, and no switch; the others do not fire in the session of a replica.
 */
function withoutTriggers({ base }: RecoveryPlan): Record<string, string> {
  return base.serverVersion >= EVENT_TRIGGERS_VERSION
    ? { event_triggers: 'off' }
    : { session_replication_role: 'replica' };
}
