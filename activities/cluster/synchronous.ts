import { query } from '../io/postgres/connection.ts';
import { readNodeFile, removeNodeFile, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { reload, setSetting } from './settings.ts';

/** In the data directory: synchronous_standby_names as it was before it was emptied. */
const FILE = 'lifeboat.synchronous';
/** A standby, or a stream of WAL, that comes to the new primary by itself is there by then. */
const WAIT_MS = 3_000;
const POLL_MS = 50;

const STATE = `
  select current_setting('synchronous_standby_names') as names,
         exists (select from pg_stat_replication where sync_state in ('sync', 'quorum')) as acknowledged`;

/**
 * A new primary that has brought synchronous_standby_names along and has nobody of that name would acknowledge no commit ever (manual
 * 26.2.8.3): it is emptied then. Answers what it was; undefined when it was left alone. A repeat answers the same.
 */
export async function acknowledgeAlone(use: NodeUse): Promise<string | undefined> {
  const { clock, signal } = use.run;
  return withNode(use, async (sql) => {
    const deadline = clock.nowMs() + WAIT_MS;
    for (;;) {
      const [row] = await query<{ names: string; acknowledged: boolean }>(sql, STATE);
      const { names = '', acknowledged = false } = row ?? {};
      if (names === '') return readNodeFile(use, FILE);
      if (acknowledged) return undefined;
      if (clock.nowMs() > deadline) {
        await writeNodeFile(use, FILE, names);
        await setSetting(sql, 'synchronous_standby_names', '');
        await reload(sql);
        return names;
      }
      await clock.sleep(POLL_MS, signal);
    }
  });
}

/** What was emptied in another promotion says nothing of this one. */
export function forgetSynchronous(use: NodeUse): Promise<void> {
  return removeNodeFile(use, FILE);
}
