import { findFailure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';

/**
 * One commit now and then on a cluster that may be idle: recovery to a time stops at a commit, so without one no later
 * moment can be reached, and nothing tells how old the newest WAL is. A transactional logical message needs no table of
 * ours (manual 9.28.6); nobody decodes it.
 */
export function startHeartbeat(sql: SqlClient, everyMs: number, run: Run): { stop(): void } {
  let busy = false;
  const beat = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      await query(
        sql,
        `select case when pg_is_in_recovery() then null else pg_logical_emit_message(true, 'lifeboat', '') end`,
      );
    } catch (error) {
      run.log.warn('heartbeat could not be written; WAL is shipped all the same', {
        error: findFailure(error)?.message ?? String(error),
      });
    } finally {
      busy = false;
    }
  };
  if (everyMs === 0) return { stop: () => {} };
  const timer = setInterval(() => void beat(), everyMs);
  void beat();
  return { stop: () => clearInterval(timer) };
}
