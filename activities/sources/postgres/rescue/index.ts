import { join } from 'node:path';
import { exclusively } from '../../../io/exclusive.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { withReader } from '../../../io/postgres/logical/session.ts';
import type { Run } from '../../../io/run.ts';
import type { RowRescue } from '../../row-rescue.ts';
import type { PostgresOptions } from '../options.ts';
import { productionOf } from '../recovery/bring-over.ts';
import { nameAtTarget } from '../recovery/close-hollow.ts';
import { placeOf } from '../recovery/place.ts';
import { recoveredServer } from '../recovery/session.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { RowsTask } from '../../../../workflows/model/rescue.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { checkWish } from './check-wish.ts';
import { differenceOf, pairsOf, rowOf } from './difference.ts';
import type { Sides } from './difference.ts';
import { writeOnce } from './write-once.ts';

const READ = 'begin transaction isolation level repeatable read read only';

export function createRowRescue(options: PostgresOptions, run: Run): RowRescue {
  return {
    check: async (plan, wish) => {
      const connection = await productionOf(options, run);
      const { database = connection.database } = plan.partial ?? {};
      await withReader(connection, { database, signal: run.signal }, async (client) => {
        await checkProduction(client, plan);
        await checkWish(client, database, wish);
      });
    },
    compare: (task, note) =>
      withSides(task, { options, run, begin: READ }, async (sides) => {
        const pairs = await pairsOf(sides, task);
        return differenceOf(sides, pairs, {
          ...{ task, run },
          each: (change, { pair }) => note(rowOf(change, pair.now.name)),
        });
      }),
    // An attempt that is late would begin a transaction beside that of its successor.
    write: (task) =>
      exclusively(task.plan.into, run, async () => {
        const connection = await productionOf(options, run);
        const path = join(placeOf(task.plan).work, 'rescued.json');
        return writeOnce(task, {
          path,
          connection,
          run,
          inTransaction: (begin, work) => withSides(task, { options, run, begin }, work),
        });
      }),
  };
}

export interface SidesUse {
  options: PostgresOptions;
  run: Run;
  /** The statement that begins the transaction in production. */
  begin: string;
}

/** Both databases, each in a transaction of its own that sees one moment; what is not committed is rolled back with the sessions. */
async function withSides<T>(task: RowsTask, use: SidesUse, work: (sides: Sides) => Promise<T>): Promise<T> {
  const { plan } = task;
  const { options, run, begin } = use;
  const copy = recoveredServer(plan);
  const at = { signal: run.signal };
  const name = await withReader(copy.connection, { ...at, settings: copy.settings }, (client) =>
    nameAtTarget(client, plan),
  );
  const production = await productionOf(options, run);
  return withReader(copy.connection, { ...at, database: name, settings: copy.settings }, async (left) => {
    await query(left, READ);
    const there = { ...at, database: plan.partial?.database ?? name, theirSearchPath: true };
    return withReader(production, there, async (right) => {
      await checkProduction(right, plan);
      await query(right, begin);
      return work({ copy: left, now: right });
    });
  });
}

/** Rows go back to where they are from, and into what takes writes. */
async function checkProduction(client: SqlClient, plan: RecoveryPlan): Promise<void> {
  const [row] = await query<{ system: string; recovering: boolean; database: string; oid: string }>(
    client,
    `select system_identifier::text as system, pg_is_in_recovery() as recovering, datname as database, oid::text as oid
       from pg_control_system(), pg_database where datname = current_database()`,
  );
  const expected = `the primary of the cluster with system identifier ${plan.base.systemId}`;
  if (row?.system === plan.base.systemId && !row.recovering) return checkDatabase(row, plan);
  throw failure('Precondition', `the server of restore.server is not the primary of ${plan.source}`, {
    ...{ place: 'restore.server', expected },
    found: `${row?.recovering ? 'a standby' : 'a primary'} with system identifier ${row?.system}`,
    hint: 'correct restore.server, or connection: a list of all servers finds the primary by itself',
  });
}

/** Databases are renamed: under the name of one that rows are from, there may be another one now. */
function checkDatabase({ database, oid }: { database: string; oid: string }, { partial, source }: RecoveryPlan): void {
  if (!partial || oid === String(partial.oid)) return;
  throw failure('Precondition', `database ${database} of ${source} is not the one that the rows are from`, {
    ...{ place: `database ${database}`, expected: `the database with oid ${partial.oid}`, found: `oid ${oid}` },
    hint: `bring the tables over beside it: lifeboat restore ${source} --only-database ${database} --into-database NAME`,
  });
}
