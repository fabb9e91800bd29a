import { failure } from '../../../../workflows/model/failure.ts';
import { nearestName } from '../../../../workflows/model/nearest.ts';
import { DUMP_TREE } from '../../../../workflows/model/dump.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { PartSink } from '../../part-sink.ts';
import type { BackupFacts } from '../../source.ts';
import { momentOf } from '../identity.ts';
import type { LogicalOptions } from '../options.ts';
import { withReader } from '../../../io/postgres/logical/session.ts';
import { dumpDatabase } from './database.ts';
import { dumpGlobals } from './globals.ts';
import { Parts } from './parts.ts';
import type { Dumping } from './program.ts';
import { findDumpPrograms } from './program.ts';

/** Dumps one database after the other, each as of one moment of its own. */
export async function takeDump(options: LogicalOptions, use: { out: PartSink; run: Run }): Promise<BackupFacts> {
  const { out, run } = use;
  const { before, names } = await withReader(options.connection, { signal: run.signal }, async (client) => ({
    before: await momentOf(client),
    names: await databasesOf(client, options),
  }));
  const programs = await findDumpPrograms(options, before.identity.serverVersion);
  const parts = new Parts(out, run);
  try {
    const dumping: Dumping = { options, programs, signal: run.signal };
    const globals = options.dump.globals ? await dumpGlobals(dumping, parts) : undefined;
    const databases = [];
    for (const [index, database] of names.entries()) {
      run.progress({ phase: 'dump', note: `database ${database}, ${index + 1} of ${names.length}` });
      databases.push(await dumpDatabase({ ...dumping, database, folder: `databases/${index + 1}`, parts, run }));
    }
    const refs = await parts.finish();
    const after = await withReader(options.connection, { signal: run.signal }, momentOf);
    checkSame(before.identity.systemId, after.identity.systemId);
    const { identity, lsn, at, superuser } = before;
    return {
      ...{ identity, timeline: identity.timeline, startLsn: lsn, stopLsn: lsn, startedAt: at, stoppedAt: after.at },
      ...{ consistency: 'consistent', pageChecksums: false, settings: { superuser }, parts: refs },
      trees: [{ id: DUMP_TREE, files: parts.files }],
      dump: { toolMajor: programs.major, databases, ...(globals ? { globals } : {}) },
    };
  } finally {
    await parts.settle();
  }
}

/** Those that are to be dumped. NotFound for one that is configured and not there. */
export async function databasesOf(client: SqlClient, { databases, connection }: LogicalOptions): Promise<string[]> {
  const rows = await query<{ name: string }>(
    client,
    'select datname as name from pg_database where datallowconn and not datistemplate order by 1',
  );
  const known = rows.map(({ name }) => name);
  const absent = databases?.find((name) => !known.includes(name));
  if (absent === undefined) return databases ?? known;
  const near = nearestName(absent, known);
  throw failure('NotFound', `database ${absent} does not exist on ${connection.host}`, {
    place: 'databases',
    expected: `one of ${known.join(', ')}`,
    found: absent,
    hint: near === undefined ? 'correct databases in lifeboat.yml' : `did you mean ${near}?`,
  });
}

function checkSame(expected: string, found: string): void {
  if (expected === found) return;
  throw failure('Precondition', 'cluster was replaced during the dump', {
    ...{ place: 'connection', expected: `system identifier ${expected}`, found: `system identifier ${found}` },
    hint: 'nothing of this dump is kept; run it again',
  });
}
