import { readFile, rename, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { Rescued, RowsTask } from '../../../../workflows/model/rescue.ts';
import { changedFailure } from '../../../../workflows/model/rescue.ts';
import { syncFolder } from '../../../io/atomic-file.ts';
import { serverPlace } from '../../../io/postgres/choose-server.ts';
import type { ServerOptions, SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import type { Run } from '../../../io/run.ts';
import { differenceOf, pairsOf } from './difference.ts';
import type { Sides } from './difference.ts';
import { Staging } from './staging.ts';

export interface Writing {
  /** Where is kept which transaction it was, before it is committed. */
  path: string;
  connection: ServerOptions;
  run: Run;
  inTransaction<T>(begin: string, work: (sides: Sides) => Promise<T>): Promise<T>;
}

/** What a transaction will have done when it is committed. */
interface Attempted {
  hash: string;
  rescued: Rescued;
}

const BEGIN = 'begin transaction isolation level repeatable read read write';
/** Somebody else was quicker (manual 13.2.2, 13.3.4): the next comparison says whether that matters. */
const OVERTAKEN = new Set(['40001', '40P01']);
const POLL_MS = 500;
/** Longest that a transaction whose commit got no answer is asked for. */
const LAST_LOOK_MS = 60_000;

/**
 * One transaction, once. Rows are compared again on the snapshot that they are written on, so that whatever is not as it was shown is
 * either seen in the hash or makes the transaction fail. When nobody knows whether it was committed, the server does.
 */
export async function writeOnce(task: RowsTask & { hash: string }, use: Writing): Promise<Rescued> {
  const before = await readAttempt(use.path);
  if (before && before.hash === task.hash && (await wasCommitted(before.rescued, use))) return before.rescued;
  try {
    return await use.inTransaction(BEGIN, (sides) => attempt(task, sides, use));
  } catch (error) {
    if (!OVERTAKEN.has(sqlStateOf(error) ?? '')) throw error;
    throw failure('Busy', 'rows were changed while they were written: nothing was written', {
      ...{
        place: serverPlace(use.connection),
        expected: 'nobody who writes the same rows',
        found: sqlStateOf(error) ?? '',
      },
      ...{ hint: 'it is tried again by itself', cause: (error as Error).cause },
    });
  }
}

async function attempt(task: RowsTask & { hash: string }, sides: Sides, use: Writing): Promise<Rescued> {
  const { run, connection } = use;
  const { now } = sides;
  await query(now, 'set constraints all deferred');
  const pairs = await pairsOf(sides, task);
  const staging = new Staging(sides, pairs);
  const { hash } = await differenceOf(sides, pairs, {
    ...{ task, run },
    each: async (change, { pair, isWritten }) => {
      if (isWritten && change.what !== 'extra') await staging.add(pair, change);
    },
  });
  if (hash !== task.hash) throw changedFailure(serverPlace(connection), { expected: task.hash, found: hash });
  // A worker that is cut off in the middle must not hold what it writes for ever. While both sides are sorted this one only waits.
  await query(now, `set local idle_in_transaction_session_timeout = '10min'`);
  await staging.complete();
  // Triggers find what they find in anybody's session.
  await query(now, 'reset search_path');
  const written = await staging.write();
  const [row] = await query<{ xid: string }>(now, 'select pg_current_xact_id()::text as xid');
  const rescued: Rescued = { server: serverPlace(connection), xid: row?.xid ?? '', ...written };
  run.signal.throwIfAborted();
  await keepAttempt(use.path, { hash, rescued });
  return committed(now, rescued, use);
}

/** Who is cancelled while it commits, or hears no answer, asks whether it did: what is written is told. */
async function committed(now: SqlClient, rescued: Rescued, use: Writing): Promise<Rescued> {
  try {
    await query(now, 'commit');
    return rescued;
  } catch (error) {
    const run = { ...use.run, signal: AbortSignal.timeout(LAST_LOOK_MS) };
    if (await wasCommitted(rescued, { ...use, run }).catch(() => false)) return rescued;
    throw error;
  }
}

async function readAttempt(path: string): Promise<Attempted | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as Attempted);
}

/** On the disk before the transaction is committed: who comes back asks for it. */
async function keepAttempt(path: string, attempted: Attempted): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(attempted));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(dirname(path));
}

/** Waits for one that is not over: its session ends by itself, when it is told that nobody is there. */
async function wasCommitted({ xid, server }: Rescued, { connection, run }: Writing): Promise<boolean> {
  const now = serverPlace(connection);
  // After a failover the number may be that of somebody else's transaction.
  if (now !== server) throw unknown({ xid, server, found: `${now} in its place` });
  for (;;) {
    const status = await withConnection(connection, { signal: run.signal }, async (client) => {
      const [row] = await query<{ status: string | null }>(client, 'select pg_xact_status($1::xid8) as status', [xid]);
      return row?.status ?? null;
    });
    if (status === 'committed') return true;
    if (status === 'aborted') return false;
    if (status === null) throw unknown({ xid, server, found: 'too old' });
    run.progress({ phase: 'write', note: `transaction ${xid} of an earlier attempt is not over yet` });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

function unknown({ xid, server, found }: { xid: string; server: string; found: string }): Error {
  return failure('OutcomeUnknown', `whether transaction ${xid} of ${server} was committed is not known any more`, {
    ...{ place: server, expected: 'committed or aborted', found },
    hint: 'look whether the rows are there; then start the rescue again: it writes only what is missing',
  });
}
