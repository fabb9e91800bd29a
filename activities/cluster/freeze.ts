import type { Lsn } from '../../workflows/model/lsn.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { readNodeFile, removeNodeFile, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { receivedAt } from './promote.ts';
import { reload, setSetting } from './settings.ts';

/** What primary_conninfo was, for as long as it is empty. */
const FILE = 'lifeboat.frozen';

const POLL_MS = 50;
/** Without a receiver nothing comes but by restore_command, which may bring a segment after a while. */
const QUIET_MS = { archive: 1_000, alone: 200 };
const WITHIN_MS = 30_000;

/**
 * Takes a standby off its primary, so that what it has stands still: a primary that lives after all cannot have a synchronous commit
 * acknowledged any more, and a loss can be told. It stays a standby that can be promoted. Answers what it has.
 */
export async function freeze(use: NodeUse, mover: Mover): Promise<{ lsn: Lsn; timeline: number }> {
  await claim(use, mover);
  return withNode(use, async (sql) => {
    const conninfo = await conninfoNow(sql);
    // An attempt before this one may have emptied it: what it was is written down first, and once.
    if (conninfo !== '' && (await readNodeFile(use, FILE)) === undefined) await writeNodeFile(use, FILE, conninfo);
    await setSetting(sql, 'primary_conninfo', '');
    await reload(sql);
    return untilStill(use, sql);
  });
}

/** Follows again as it did. A repeat does nothing. */
export async function thaw(use: NodeUse, mover: Mover): Promise<void> {
  await claim(use, mover);
  const conninfo = await readNodeFile(use, FILE);
  if (conninfo === undefined) return;
  await withNode(use, async (sql) => {
    await setSetting(sql, 'primary_conninfo', conninfo);
    await reload(sql);
  });
  await removeNodeFile(use, FILE);
}

/** A promoted server follows nobody: what was kept for that goes. */
export function forgetFrozen(use: NodeUse): Promise<void> {
  return removeNodeFile(use, FILE);
}

async function conninfoNow(sql: SqlClient): Promise<string> {
  const text = `select setting from pg_settings where name = 'primary_conninfo'`;
  const [row] = await query<{ setting: string }>(sql, text);
  return row?.setting ?? '';
}

async function hasArchive(sql: SqlClient): Promise<boolean> {
  const text = `select current_setting('restore_command') <> '' as there`;
  const [row] = await query<{ there: boolean }>(sql, text);
  return row?.there !== false;
}

async function untilStill(use: NodeUse, sql: SqlClient): Promise<{ lsn: Lsn; timeline: number }> {
  const { run, name } = use;
  const deadline = run.clock.nowMs() + WITHIN_MS;
  const quietMs = (await hasArchive(sql)) ? QUIET_MS.archive : QUIET_MS.alone;
  let last = await receivedAt(use, sql);
  let sinceMs = run.clock.nowMs();
  for (;;) {
    await run.clock.sleep(POLL_MS, run.signal);
    const [row] = await query<{ there: boolean }>(sql, 'select exists (select from pg_stat_wal_receiver) as there');
    const now = await receivedAt(use, sql);
    const nowMs = run.clock.nowMs();
    if (row?.there !== false || now.lsn !== last.lsn) sinceMs = nowMs;
    last = now;
    if (nowMs - sinceMs >= quietMs) return now;
    if (nowMs > deadline) {
      throw failure('Unavailable', `${name} goes on receiving`, {
        place: name,
        expected: 'no receiver, and a position that stands still',
        found: `${now.lsn}${row?.there ? ', with a receiver' : ''}`,
        hint: 'it is tried again by itself; does its restore_command bring more?',
      });
    }
  }
}
