import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { failure } from '../../../../workflows/model/failure.ts';
import type { BringPlan, Brought } from '../../../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { writeAtomically } from '../../../io/atomic-file.ts';
import { chooseServer } from '../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { quoteIdent } from '../../../io/postgres/identifier.ts';
import { compare, look } from '../../../io/postgres/logical/compare.ts';
import { databaseExists, dropDatabase } from '../../../io/postgres/logical/database.ts';
import type { Destination } from '../../../io/postgres/logical/destination.ts';
import { atDestination, reachServer } from '../../../io/postgres/logical/destination.ts';
import { importDatabase } from '../../../io/postgres/logical/import.ts';
import { checkServer, placeOf as serverPlace, takeName } from '../../../io/postgres/logical/into-database.ts';
import { missingRoles } from '../../../io/postgres/logical/missing-roles.ts';
import { findPrograms } from '../../../io/postgres/programs.ts';
import type { ServerOptions } from '../../../io/postgres/options.ts';
import type { Run } from '../../../io/run.ts';
import type { PostgresOptions } from '../options.ts';
import { nameAtTarget } from './close-hollow.ts';
import type { Bringing } from './copy-archives.ts';
import { copyArchives } from './copy-archives.ts';
import { measureCopy } from './measure-copy.ts';
import { placeOf } from './place.ts';
import { withRecovered } from './session.ts';
import type { Finishing } from './finish.ts';

const JOBS = 2;

/** Where something is brought to: the server that the configuration names, or else the primary of the source. */
export async function productionOf(options: PostgresOptions, run: Run): Promise<ServerOptions> {
  return options.restore.server ?? (await chooseServer(options.connection, run)).connection;
}

/** Every reason why the server cannot take it that can be known before the copy is there; touches nothing. */
export async function checkBringing({ partial }: RecoveryPlan, options: PostgresOptions, run: Run): Promise<void> {
  if (!partial?.bring) return;
  await checkServer(await reachServer(await productionOf(options, run), run.signal), partial.bring.into);
}

/** Dumps the database out of the copy into the server, compares both, and gives it its name. */
export async function bringOver(use: Finishing): Promise<Brought> {
  const { plan, options, run } = use;
  const bring = bringOf(plan);
  const said = join(placeOf(plan).work, 'brought.json');
  const begun = begunAt(plan);
  const to = await reachServer(await productionOf(options, run), run.signal);
  const done = await readFile(said, 'utf8').catch(undefinedIfAbsent);
  // It has to outlive a host that goes down: what it tells of is on a server that may not.
  if (done === undefined) await writeDurably(begun, '');
  const brought = done === undefined ? await importProven(use, to) : (JSON.parse(done) as Brought);
  if (done === undefined) {
    // Whoever comes back from here on finds it proven, and only gives it its name.
    await writeDurably(said, JSON.stringify(brought));
  }
  await takeName(to, bring.into);
  await rm(begun, { force: true });
  return brought;
}

async function writeDurably(path: string, text: string): Promise<void> {
  await writeAtomically({ path, staging: dirname(path) }, Readable.from([Buffer.from(text)]));
}

/** It says that a database without a name may be on the server. */
function begunAt(plan: RecoveryPlan): string {
  return join(placeOf(plan).work, 'bringing');
}

async function importProven(use: Finishing, to: Destination): Promise<Brought> {
  const { plan, options, host, run } = use;
  const { into } = bringOf(plan);
  const name = await withRecovered(plan, { signal: run.signal }, (client) => nameAtTarget(client, plan));
  const { folder } = await findPrograms({
    programs: ['pg_dump', 'pg_restore'],
    major: Math.floor(plan.base.serverVersion / 10_000),
    folder: options.restore.binaries,
    setting: 'restore.binaries',
    package: 'postgresql-client',
  });
  const selection = await measureCopy({ ...use, name, jobs: JOBS });
  const roles = await makeRoles(to, selection.database.roles);
  const bringing: Bringing = { ...use, name, folder, selection };
  const program = { folder, run, ...(host.as ? { as: host.as } : {}) };
  const archives = copyArchives(bringing);
  try {
    await importDatabase({ ...program, jobs: JOBS, to, archives, name: into.temporary, selection });
    const found = await look({ to, name: into.temporary, sessions: JOBS, run }, selection);
    const checks = compare(selection, found);
    const bad = checks.filter(({ ok }) => !ok);
    if (bad.length > 0) throw notTheSame(plan, bad);
    const { tables } = found.measured;
    return {
      ...{ database: into.name, server: serverPlace(to), roles, checks, tables: tables.length },
      rows: tables.reduce((sum, table) => sum + table.rows, 0),
      ...(await asideOf(to, into)),
    };
  } catch (error) {
    // The copy may be kept; what is half there on the server is of no use to anybody.
    await dropDatabase(to, into.temporary).catch(() => undefined);
    throw error;
  }
}

function bringOf({ partial, into }: RecoveryPlan): BringPlan {
  if (partial?.bring) return partial.bring;
  throw failure('Bug', `nothing is to be brought over from ${into}`, { place: into });
}

/** What belongs to somebody belongs to nobody else: who is missing is made, and cannot log in. */
function makeRoles(to: Destination, wanted: readonly string[]): Promise<string[]> {
  return atDestination(to, {}, async (client: SqlClient) => {
    const missing = await missingRoles(client, wanted);
    for (const role of missing) await query(client, `create role ${quoteIdent(role)} nologin`);
    return missing;
  });
}

async function asideOf(to: Destination, { name, aside }: BringPlan['into']): Promise<{ aside?: string }> {
  return (await atDestination(to, {}, (client) => databaseExists(client, name))) ? { aside } : {};
}

/** Removes what was brought and has no name yet. Whoever removed the copy has taken the mark away with it: then the server says. */
export async function dropBrought(plan: RecoveryPlan, options: PostgresOptions, run: Run): Promise<void> {
  const { partial } = plan;
  if (!partial?.bring) return;
  if (existsSync(placeOf(plan).work) && !existsSync(begunAt(plan))) return;
  await dropDatabase(await reachServer(await productionOf(options, run), run.signal), partial.bring.into.temporary);
}

function notTheSame(plan: RecoveryPlan, bad: Brought['checks']): Error {
  return failure(
    'Integrity',
    `what was brought over is not what the copy has: ${bad.map(({ name }) => name).join(', ')}`,
    {
      place: `${plan.into} on host ${plan.host}`,
      expected: bad.map(({ expected }) => expected).join('; '),
      found: bad.map(({ found }) => found).join('; '),
      hint: 'the copy is kept: look at it, and at what writes to it',
      evidence: bad,
    },
  );
}

function undefinedIfAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
