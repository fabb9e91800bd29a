import type { ControlFacts } from '../../workflows/model/cluster.ts';
import { peerSlot } from '../../workflows/model/cluster.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import { runningServer } from '../io/postgres/server.ts';
import { readControl } from './control.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { hasStandbySignal, removeNodeFile, STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { startNode, stopNode } from './power.ts';
import { conninfoOf, setSetting } from './settings.ts';

/**
 * Stops a primary so that whatever starts it again finds a standby of `upstream`: the signal file and where to stream from are there
 * before it stops. It changes nothing for a server that runs, and to take it back is to remove it and to start.
 */
export async function demote(
  use: NodeUse,
  order: Mover & { upstream: string; withinMs: number },
): Promise<ControlFacts> {
  await claim(use, order);
  if ((await runningServer(use.node.dataDir)) !== undefined) {
    await withNode(use, (sql) => makeStandby(use, sql, order.upstream));
    await writeNodeFile(use, STANDBY_SIGNAL, '');
    await stopNode(use, order.withinMs);
  }
  if (await hasStandbySignal(use)) return readControl(use);
  throw failure('Precondition', `${use.name} was stopped by somebody else`, {
    place: use.node.dataDir,
    expected: `a server that runs, or ${STANDBY_SIGNAL}`,
    found: 'neither',
    hint: 'look why; start it, then start again',
  });
}

async function makeStandby(use: NodeUse, sql: SqlClient, upstream: string): Promise<void> {
  const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
  if (row?.standby) {
    throw failure('Precondition', `${use.name} is a standby already`, {
      place: use.name,
      expected: 'the primary',
      found: 'a server in recovery',
      hint: 'somebody else has demoted it: look, then start again',
    });
  }
  await setSetting(sql, 'primary_conninfo', conninfoOf(use, upstream));
  await setSetting(sql, 'primary_slot_name', peerSlot(use.name));
}

export interface ReinstateOrder {
  withinMs: number;
  /** False: only takes the signal away, for a server that did not run when we came. */
  start: boolean;
}

/**
 * The primary it was, before anything else was promoted: on the same timeline, so that its standbys go on. A server that somebody has
 * started as a standby meanwhile is stopped first.
 */
export async function reinstate(use: NodeUse, order: Mover & ReinstateOrder): Promise<void> {
  await claim(use, order);
  await removeNodeFile(use, STANDBY_SIGNAL);
  if (!order.start) return;
  if ((await runningServer(use.node.dataDir)) !== undefined && (await inRecovery(use)))
    await stopNode(use, order.withinMs);
  await startNode(use);
  await withNode(use, async (sql) => {
    const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
    if (row?.standby) throw failure('Unavailable', `${use.name} is in recovery still`, { place: use.name });
    await setSetting(sql, 'primary_conninfo', undefined);
    await setSetting(sql, 'primary_slot_name', undefined);
  });
}

function inRecovery(use: NodeUse): Promise<boolean> {
  return withNode(use, async (sql) => {
    const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
    return row?.standby === true;
  });
}
