import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { ConnectMode, SqlClient } from '../../../io/postgres/connection.ts';
import { serverSchema, withConnection } from '../../../io/postgres/connection.ts';
import { placeOf } from './place.ts';

/** The role that was made with the cluster; every cluster has it, under a name of its own. */
const SUPERUSER = 'superuser';

/** A session on the recovered server through our own socket, as its first superuser. */
export function withRecovered<T>(
  plan: RecoveryPlan,
  mode: ConnectMode,
  use: (client: SqlClient) => Promise<T>,
): Promise<T> {
  const options = serverSchema.parse({
    host: placeOf(plan).socket,
    port: plan.port,
    user: plan.settings[SUPERUSER] ?? 'postgres',
    database: 'postgres',
  });
  return withConnection(options, mode, use);
}
