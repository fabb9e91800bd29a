import { query } from '../io/postgres/connection.ts';
import { forgetFrozen } from './freeze.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';

/** As long as it takes: it may have much to write. */
const NO_LIMIT = 0;

/**
 * Writes a checkpoint: before a shutdown it makes that short, behind a promotion it puts the new timeline into pg_control, where
 * pg_rewind looks. What a standby was frozen by is of no use any more once it is a primary.
 */
export async function checkpoint(use: NodeUse): Promise<void> {
  const promoted = await withNode(
    use,
    async (sql) => {
      await query(sql, 'checkpoint');
      const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
      return row?.standby === false;
    },
    { statementTimeoutMs: NO_LIMIT },
  );
  if (promoted) await forgetFrozen(use);
}
