import { failureFacts, findFailure } from '../../../workflows/model/failure.ts';
import { formatBytes } from '../../../workflows/model/units.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { addressOf, query } from '../../io/postgres/connection.ts';
import { placeOf } from '../../io/postgres/failures.ts';
import { quoteIdent } from '../../io/postgres/identifier.ts';
import type { Run } from '../../io/run.ts';
import type { SourceCheck } from '../source.ts';
import { databasesOf } from './dump/index.ts';
import { findDumpPrograms } from './dump/program.ts';
import { momentOf } from './identity.ts';
import type { LogicalOptions } from './options.ts';
import { withReader } from '../../io/postgres/logical/session.ts';

/** Tries everything that a dump needs, and tells each with what to change. Changes nothing. */
export async function checkSource(options: LogicalOptions, run: Run): Promise<SourceCheck[]> {
  const { connection } = options;
  try {
    const { checks, databases } = await withReader(connection, { signal: run.signal }, async (client) => {
      const { identity } = await momentOf(client);
      const names = await databasesOf(client, options);
      return {
        databases: names,
        checks: [
          { name: 'connection', ok: true, found: placeOf(addressOf(connection)) },
          await toolCheck(options, identity.serverVersion),
          { name: 'databases', ok: true, found: `${names.join(', ')}; ${formatBytes(identity.sizeBytes)}` },
          ...(options.dump.globals ? [await globalsCheck(client)] : []),
          await subscriptionsCheck(client),
        ],
      };
    });
    for (const database of databases) checks.push(await rightsCheck(options, database, run));
    return checks;
  } catch (error) {
    run.signal.throwIfAborted();
    return [refused('connection', error)];
  }
}

function refused(name: string, error: unknown): SourceCheck {
  const { hint } = failureFacts(error);
  const message = findFailure(error)?.message ?? String(error);
  const found = hint === undefined ? message : message.replace(` (hint: ${hint})`, '');
  return { name, ok: false, found, ...(hint === undefined ? {} : { hint }) };
}

async function toolCheck(options: LogicalOptions, serverVersion: number): Promise<SourceCheck> {
  try {
    const { folder, major } = await findDumpPrograms(options, serverVersion);
    return { name: 'pg_dump', ok: true, found: `version ${major} in ${folder}` };
  } catch (error) {
    return refused('pg_dump', error);
  }
}

async function globalsCheck(client: SqlClient): Promise<SourceCheck> {
  const [row] = await query<{ may: boolean; role: string }>(
    client,
    `select has_table_privilege('pg_catalog.pg_authid', 'select') as may, current_user as role`,
  );
  if (row?.may) return { name: 'roles', ok: true, found: 'with their password hashes' };
  return {
    name: 'roles',
    ok: true,
    found: 'without their password hashes: the role may not read pg_authid',
    hint: `grant pg_read_all_data to ${quoteIdent(row?.role ?? '')}`,
  };
}

async function subscriptionsCheck(client: SqlClient): Promise<SourceCheck> {
  const [row] = await query<{ superuser: boolean; count: number }>(
    client,
    `select (select rolsuper from pg_roles where rolname = current_user) as superuser,
            (select count(subname)::int from pg_subscription) as count`,
  );
  const { superuser = false, count = 0 } = row ?? {};
  const name = 'subscriptions';
  if (superuser || count === 0) return { name, ok: true, found: `${count}` };
  return { name, ok: true, found: `${count}, which only a superuser can dump`, hint: 'dump as a superuser' };
}

const MOST_NAMED = 5;

/** Everything that a role lacks: a dump without it would lack rows, or fail in the middle. */
const LACKING = `
  with ours as (
    select c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'S'))
  select 'usage on schema ' || quote_ident(nspname) as lacks from (select distinct nspname from ours) s
   where not has_schema_privilege(nspname, 'usage')
  union all
  select 'select on ' || quote_ident(nspname) || '.' || quote_ident(relname) from ours
   where has_schema_privilege(nspname, 'usage')
     and not case when relkind = 'S' then has_sequence_privilege(oid, 'select') else has_table_privilege(oid, 'select') end
  union all
  select 'bypassrls, for ' || quote_ident(nspname) || '.' || quote_ident(relname) from ours
   where relrowsecurity and row_security_active(oid)
  union all
  select * from (
    select 'select on large object ' || oid from pg_largeobject_metadata m
     where not (select rolsuper from pg_roles where rolname = current_user)
       and current_setting('lo_compat_privileges') = 'off' and not pg_has_role(lomowner, 'usage')
       and not exists (select from aclexplode(lomacl) a where privilege_type = 'SELECT'
                          and (a.grantee = 0 or pg_has_role(a.grantee, 'usage')))
     limit 100) objects
   order by 1`;

async function rightsCheck(options: LogicalOptions, database: string, run: Run): Promise<SourceCheck> {
  const name = `rights in ${database}`;
  try {
    return await withReader(options.connection, { database, signal: run.signal }, async (client) => {
      // It is what the dump does, and makes row_security_active say which policies would hide rows.
      await query(client, 'set row_security = on');
      const rows = await query<{ lacks: string }>(client, LACKING);
      if (rows.length === 0) return { name, ok: true, found: 'every table and sequence can be read whole' };
      const more = rows.length > MOST_NAMED ? `, and ${rows.length - MOST_NAMED} more` : '';
      const lacks = rows.slice(0, MOST_NAMED).map((row) => row.lacks);
      return {
        name,
        ok: false,
        found: `role "${options.connection.user}" lacks ${lacks.join(', ')}${more}`,
        hint: `grant pg_read_all_data to ${quoteIdent(options.connection.user)}; alter role ${quoteIdent(options.connection.user)} bypassrls`,
      };
    });
  } catch (error) {
    run.signal.throwIfAborted();
    return refused(name, error);
  }
}
