import { query } from '../../../../io/postgres/connection.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import type { Run } from '../../../../io/run.ts';

const ASK_MS = 60_000;

/**
 * Does `work` with a run that ends when the session does, with the session's failure: what is done under a session that is
 * gone is in vain. An idle session is asked once a minute, which also keeps it from being forgotten by what is in between.
 */
export async function whileSessionLives<T>(sql: SqlClient, run: Run, work: (run: Run) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const dead = new AbortController();
  const asked = ask(sql, run, AbortSignal.any([run.signal, over.signal])).catch((error: unknown) => {
    if (!over.signal.aborted) dead.abort(error);
  });
  try {
    const result = await work({ ...run, signal: AbortSignal.any([run.signal, dead.signal]) });
    over.abort();
    // The session answers one question at a time.
    await asked;
    return result;
  } finally {
    over.abort();
  }
}

async function ask(sql: SqlClient, { clock }: Run, signal: AbortSignal): Promise<never> {
  for (;;) {
    await clock.sleep(ASK_MS, signal);
    await query(sql, 'select 1');
  }
}
