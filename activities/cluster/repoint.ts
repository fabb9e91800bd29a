import { peerSlot } from '../../workflows/model/cluster.ts';
import type { Repointed } from '../../workflows/model/failover.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { receivedAt } from './promote.ts';
import { conninfoOf, reload, setSetting } from './settings.ts';

export interface RepointOrder extends Mover {
  /** Node that was promoted. */
  upstream: string;
  /** The timeline that was left, and where. */
  oldTimeline: number;
  forkLsn: Lsn;
}

/**
 * Lets a standby that runs follow the node that was promoted, by a reload (manual 19.6.3, primary_conninfo). One that has more of the old
 * timeline than was taken over cannot, and is left as it is. A repeat writes the same.
 */
export async function repoint(use: NodeUse, order: RepointOrder): Promise<Repointed> {
  await claim(use, order);
  return withNode(use, async (sql) => {
    const refused = await obstacle(use, sql, order);
    if (refused !== undefined) return { ok: false, found: refused };
    await setSetting(sql, 'primary_conninfo', conninfoOf(use, order.upstream));
    await setSetting(sql, 'primary_slot_name', peerSlot(use.name));
    await reload(sql);
    return { ok: true, found: `follows ${order.upstream} from here on` };
  });
}

async function obstacle(use: NodeUse, sql: SqlClient, order: RepointOrder): Promise<string | undefined> {
  const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
  if (!row?.standby) return 'it is a primary';
  const { oldTimeline, forkLsn } = order;
  const { lsn, timeline } = await receivedAt(use, sql);
  if (timeline > oldTimeline || compareLsn(lsn, forkLsn) <= 0) return undefined;
  return `it has ${lsn} of timeline ${timeline}, and only what is before ${forkLsn} was taken over`;
}
