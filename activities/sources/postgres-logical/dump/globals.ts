import type { DumpFacts } from '../../../../workflows/model/dump.ts';
import { ROLES_FILE, TABLESPACES_FILE } from '../../../../workflows/model/dump.ts';
import { query } from '../../../io/postgres/connection.ts';
import { withReader } from '../../../io/postgres/logical/session.ts';
import type { Parts } from './parts.ts';
import type { Dumping } from './program.ts';
import { runDump } from './program.ts';

/** Roles and tablespaces; without password hashes where the dumping role may not read them. */
export async function dumpGlobals(use: Dumping, parts: Parts): Promise<NonNullable<DumpFacts['globals']>> {
  const { connection } = use.options;
  const { roles, passwords } = await withReader(connection, { signal: use.signal }, async (client) => {
    const rows = await query<{ name: string }>(
      client,
      `select rolname as name from pg_roles where rolname !~ '^pg_' order by 1`,
    );
    const [right] = await query<{ may: boolean }>(
      client,
      `select has_table_privilege('pg_catalog.pg_authid', 'select') as may`,
    );
    return { roles: rows.map(({ name }) => name), passwords: right?.may === true };
  });
  const without = passwords ? [] : ['--no-role-passwords'];
  const call = (path: string, args: string[]): Promise<void> =>
    runDump(use, {
      program: 'pg_dumpall',
      database: connection.database,
      args: [...without, `--database=${connection.database}`, ...args],
      output: (from) => parts.write(path, from),
    });
  await call(ROLES_FILE, ['--globals-only', '--no-tablespaces']);
  await call(TABLESPACES_FILE, ['--tablespaces-only']);
  return { passwords, roles };
}
