import { join } from 'node:path';
import { ROLES_FILE } from '../../../../workflows/model/dump.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import { runForeign } from '../../../io/postgres/foreign-program.ts';
import { libpqPlace } from '../../../io/postgres/libpq.ts';
import type { Destination } from '../../../io/postgres/logical/destination.ts';
import { atDestination } from '../../../io/postgres/logical/destination.ts';
import { missingRoles } from '../../../io/postgres/logical/missing-roles.ts';
import type { StoredArchives } from './archive.ts';
import { pour } from './archive.ts';
import type { Restore } from './scene.ts';
import { ownState, writeState } from './state.ts';
import { placeOf } from './place.ts';

/** Roles with their settings and memberships, once; those that the dump names and has no definition of cannot log in. */
export async function restoreRoles(use: Restore, to: Destination, archives: StoredArchives): Promise<void> {
  const { plan, folder, as, run } = use;
  const { dump } = archives.reader.manifest;
  if ((await ownState(plan)).roles) return;
  if (dump?.globals) {
    const { conninfo, env } = libpqPlace(to.connection, { database: to.connection.database, settings: to.settings });
    await runForeign({
      program: join(folder, 'psql'),
      // The role that was made with the cluster is there: that one statement fails, and the rest counts.
      args: ['--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=0', `--dbname=${conninfo}`, '--file=-'],
      ...{ env, signal: run.signal, input: (input) => pour(archives, ROLES_FILE, input) },
      ...(as ? { as } : {}),
    });
  }
  const named = new Set(dump?.databases.flatMap(({ roles, properties }) => [...roles, ...grantees(properties)]));
  await atDestination(to, {}, async (client) => {
    for (const role of await missingRoles(client, [...named])) {
      await query(client, `create role ${quoteIdent(role)} nologin`);
    }
  });
  await writeState(placeOf(plan), { ...(await ownState(plan)), roles: true });
}

function grantees({
  owner,
  grants = [],
  settings,
}: {
  owner: string;
  grants?: { grantee?: string }[];
  settings: { role?: string }[];
}): string[] {
  const named = [owner, ...grants.map(({ grantee }) => grantee), ...settings.map(({ role }) => role)];
  return named.filter((name) => name !== undefined);
}
