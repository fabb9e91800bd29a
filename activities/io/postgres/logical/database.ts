import type { DatabaseProperties, DumpedDatabase } from '../../../../workflows/model/dump.ts';
import type { SqlClient } from '../connection.ts';
import { query } from '../connection.ts';
import { quoteIdent, quoteLiteral } from '../identifier.ts';
import type { Destination } from './destination.ts';
import { atDestination } from './destination.ts';

/** An empty database that sorts and encodes as the dumped one did. */
export async function createDatabase(to: Destination, name: string, dumped: DumpedDatabase): Promise<void> {
  const { encoding, collate, ctype, provider, locale, icuRules } = dumped.properties;
  const localeOption = provider === 'icu' ? 'icu_locale' : 'builtin_locale';
  const options = [
    ...['template template0', `encoding ${quoteLiteral(encoding)}`],
    ...[`lc_collate ${quoteLiteral(collate)}`, `lc_ctype ${quoteLiteral(ctype)}`, `locale_provider ${provider}`],
    ...(provider !== 'libc' && locale !== undefined ? [`${localeOption} ${quoteLiteral(locale)}`] : []),
    ...(icuRules === undefined ? [] : [`icu_rules ${quoteLiteral(icuRules)}`]),
  ];
  await atDestination(to, {}, (client) => query(client, `create database ${quoteIdent(name)} ${options.join(' ')}`));
  // A new database has this schema; a dump that has it not says nothing of it.
  if (dumped.schemas.includes('public')) return;
  await atDestination(to, { database: name }, (client) => query(client, 'drop schema if exists public'));
}

export async function databaseExists(client: SqlClient, name: string): Promise<boolean> {
  return (await query(client, 'select from pg_database where datname = $1', [name])).length > 0;
}

/** Drops a database that this run made; its subscriptions let go of slots that are not theirs. */
export async function dropDatabase(to: Destination, name: string): Promise<void> {
  if (!(await atDestination(to, {}, (client) => databaseExists(client, name)))) return;
  await atDestination(to, { database: name }, async (client) => {
    const subscriptions = await query<{ name: string }>(
      client,
      `select subname as name from pg_subscription
        where subdbid = (select oid from pg_database where datname = current_database())`,
    );
    for (const { name: subscription } of subscriptions) {
      const quoted = quoteIdent(subscription);
      await query(client, `alter subscription ${quoted} disable`);
      await query(client, `alter subscription ${quoted} set (slot_name = none)`);
      await query(client, `drop subscription ${quoted}`);
    }
  });
  await atDestination(to, {}, (client) => query(client, `drop database if exists ${quoteIdent(name)} with (force)`));
}

/** Owner, rights and settings of the database itself. They come last: a setting may make it read-only. */
export async function setProperties(to: Destination, name: string, dumped: DumpedDatabase): Promise<void> {
  const { owner, comment, connectionLimit, settings, grants } = dumped.properties;
  const database = quoteIdent(name);
  await atDestination(to, {}, async (client) => {
    await query(client, 'begin');
    await query(client, `alter database ${database} owner to ${quoteIdent(owner)}`);
    await query(client, `alter database ${database} connection limit ${connectionLimit}`);
    if (comment !== undefined) await query(client, `comment on database ${database} is ${quoteLiteral(comment)}`);
    if (grants) await query(client, `revoke all on database ${database} from public`);
    for (const { grantee, privilege, grantable } of grants ?? []) {
      const whom = grantee === undefined ? 'public' : quoteIdent(grantee);
      const option = grantable ? ' with grant option' : '';
      await query(client, `grant ${privilege} on database ${database} to ${whom}${option}`);
    }
    for (const setting of settings) await applySetting(client, database, setting);
    await query(client, 'commit');
  });
}

/** Lists of names: the catalog has them as one text, which is no value for SET. */
const LISTS = ['search_path', 'session_preload_libraries', 'local_preload_libraries', 'temp_tablespaces'];

async function applySetting(
  client: SqlClient,
  database: string,
  { role, name, value }: DatabaseProperties['settings'][number],
): Promise<void> {
  const where = role === undefined ? `database ${database}` : `role ${quoteIdent(role)} in database ${database}`;
  const parts = LISTS.includes(name) ? splitNames(value) : [value];
  const values = parts.length === 0 ? "''" : parts.map(quoteLiteral).join(', ');
  const path = name.split('.').map(quoteIdent).join('.');
  await query(client, `alter ${where} set ${path} to ${values}`);
}

/** `"$user", public` to its names. */
export function splitNames(text: string): string[] {
  return [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,\s"]+))\s*(?:,|$)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
  );
}
