import { failure } from '../../../../workflows/model/failure.ts';
import { hasHollow } from '../../../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';

/** What PostgreSQL itself sets when a DROP DATABASE was cut off: nobody gets in, vacuum stays out, and it can be dropped. */
const INVALID_DATABASE = -2;

/** From here on nobody gets into a database without content, one that was made after the base among them. A repeat changes nothing. */
export async function closeHollow(client: SqlClient, plan: RecoveryPlan): Promise<void> {
  const { partial } = plan;
  if (!partial) return;
  await nameAtTarget(client, plan);
  if (!hasHollow(plan)) return;
  // The cluster may be read-only by default.
  await query(client, 'begin read write');
  await query(
    client,
    `update pg_database set datallowconn = false, datconnlimit = $2 where oid <> all ($1::oid[]) and (datallowconn or datconnlimit <> $2)`,
    [partial.kept, INVALID_DATABASE],
  );
  await query(client, 'commit');
}

/** How the chosen database is called at the target. Precondition when it is not there any more. */
export async function nameAtTarget(client: SqlClient, { partial, source }: RecoveryPlan): Promise<string> {
  const [row] = await query<{ name: string }>(client, 'select datname as name from pg_database where oid = $1::oid', [
    partial?.oid,
  ]);
  if (row) return row.name;
  throw failure('Precondition', `database ${partial?.database} is not there at the target: it was dropped before`, {
    place: `database ${partial?.database}`,
    expected: `the database with oid ${partial?.oid}, as the base has it`,
    found: 'no such database',
    hint: `choose an earlier target, or restore the whole cluster: lifeboat restore ${source}`,
  });
}

/** Databases without content that somebody could get into. */
export async function openHollow(client: SqlClient, plan: RecoveryPlan): Promise<string[]> {
  if (!hasHollow(plan)) return [];
  const rows = await query<{ name: string }>(
    client,
    'select datname as name from pg_database where oid <> all ($1::oid[]) and (datallowconn or datconnlimit <> $2) order by 1',
    [plan.partial?.kept, INVALID_DATABASE],
  );
  return rows.map(({ name }) => name);
}
