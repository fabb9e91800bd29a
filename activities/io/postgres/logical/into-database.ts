import type { IntoDatabase } from '../../../../workflows/model/dump.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../connection.ts';
import { query } from '../connection.ts';
import { quoteIdent } from '../identifier.ts';
import { databaseExists } from './database.ts';
import { missingRoles } from './missing-roles.ts';
import type { Destination } from './destination.ts';
import { atDestination } from './destination.ts';

/** Every reason why the server cannot take it; touches nothing. */
export async function checkServer(to: Destination, into: IntoDatabase): Promise<void> {
  await atDestination(to, {}, async (client) => {
    await checkRole(client);
    const missing = await missingRoles(client, into.roles);
    if (missing.length > 0) {
      throw failure('Precondition', `roles of the dump are missing on the server: ${missing.join(', ')}`, {
        place: placeOf(to),
        expected: 'every role that owns something in the dump or has a right in it',
        found: `${missing.length} missing`,
        hint: missing.map((role) => `create role ${quoteIdent(role)} nologin`).join('; '),
      });
    }
  });
  await checkName(to, into);
  // From there it is given its name, hours later.
  await atDestination(to, { database: await placeOfRenaming(to, into) }, () => Promise.resolve());
}

/** A database cannot be renamed by a session that is in it. */
async function placeOfRenaming(to: Destination, { name }: IntoDatabase): Promise<string> {
  const { connection } = to;
  if (connection.database !== name) return connection.database;
  const [row] = await atDestination(to, {}, (client) =>
    query<{ other: string }>(
      client,
      `select datname as other from pg_database
        where datname in ('postgres', 'template1') and datname <> $1 and datallowconn order by 1`,
      [name],
    ),
  );
  if (row) return row.other;
  throw failure('Precondition', `database ${name} cannot be renamed: there is no other one to do it from`, {
    ...{ place: `${placeOf(to)}/${name}`, expected: 'a database postgres or template1', found: 'neither' },
    hint: 'name another database in restore.server, or choose another name',
  });
}

async function checkRole(client: SqlClient): Promise<void> {
  const [row] = await query<{ may: boolean; role: string }>(
    client,
    'select rolcreatedb or rolsuper as may, rolname as role from pg_roles where rolname = current_user',
  );
  if (row?.may === true) return;
  throw failure('Denied', `role ${row?.role} may not create databases`, {
    place: 'restore.server',
    expected: 'a role with createdb, or a superuser',
    found: row?.role ?? 'no role',
    hint: `alter role ${quoteIdent(row?.role ?? '')} createdb, or name another in restore.server`,
  });
}

/** An empty database may be there, and one that a person said may be replaced; neither is ever dropped. */
async function checkName(to: Destination, { name, replace }: IntoDatabase): Promise<void> {
  const there = await atDestination(to, {}, (client) => databaseExists(client, name));
  if (!there || replace || (await isEmpty(to, name))) return;
  throw failure('Precondition', `database ${name} exists and is not empty`, {
    place: `${placeOf(to)}/${name}`,
    expected: 'no database of that name, or an empty one',
    found: 'tables or other relations',
    hint: 'choose another name, or --replace: what stands there is then renamed, and kept',
  });
}

function isEmpty(to: Destination, database: string): Promise<boolean> {
  return atDestination(to, { database }, async (client) => {
    const [row] = await query<{ used: boolean }>(
      client,
      `select exists (select from pg_class c join pg_namespace n on n.oid = relnamespace
                       where n.nspname !~ '^pg_' and n.nspname <> 'information_schema')
           or exists (select from pg_largeobject_metadata) as used`,
    );
    return row?.used === false;
  });
}

/** What is proven takes its name; what had it is kept under another. Both or none, and a repeat finds it done. */
export async function takeName(to: Destination, into: IntoDatabase): Promise<void> {
  const { name, temporary, aside } = into;
  const { both, proven } = await atDestination(to, {}, async (client) => ({
    proven: await databaseExists(client, temporary),
    both: await databaseExists(client, name),
  }));
  if (!proven && both) return;
  await checkName(to, into);
  await atDestination(to, { database: await placeOfRenaming(to, into) }, async (client) => {
    await query(client, 'begin');
    if (both) await query(client, `alter database ${quoteIdent(name)} rename to ${quoteIdent(aside)}`);
    await query(client, `alter database ${quoteIdent(temporary)} rename to ${quoteIdent(name)}`);
    await query(client, 'commit');
  });
}

export function placeOf({ connection }: Destination): string {
  return `${connection.host}:${connection.port}`;
}
