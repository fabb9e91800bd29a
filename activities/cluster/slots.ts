import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';

/** Allowed on a standby, too: it keeps what a follower will need from here on. */
export async function ensureSlot(sql: SqlClient, slot: string): Promise<void> {
  await query(
    sql,
    `select pg_create_physical_replication_slot($1, true)
      where not exists (select from pg_replication_slots where slot_name = $1)`,
    [slot],
  );
}

/** Drops physical slots that nobody uses; one that is in use, or not there, is left alone. */
export async function dropIdle(use: NodeUse, slots: readonly string[]): Promise<void> {
  if (slots.length === 0) return;
  await withNode(use, (sql) =>
    query(
      sql,
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots
        where slot_name = any($1) and slot_type = 'physical' and not active`,
      [slots],
    ),
  );
}
