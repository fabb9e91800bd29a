import type { SqlClient } from '../connection.ts';
import { query } from '../connection.ts';

/** Those of the wanted roles that a server does not have. */
export async function missingRoles(client: SqlClient, wanted: readonly string[]): Promise<string[]> {
  const rows = await query<{ name: string }>(
    client,
    'select name from unnest($1::text[]) name where not exists (select from pg_roles where rolname = name)',
    [wanted],
  );
  return rows.map(({ name }) => name);
}
