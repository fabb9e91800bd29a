import { formatBytes } from '../../../workflows/model/units.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query } from '../../io/postgres/connection.ts';
import type { SourceCheck } from '../source.ts';

interface SlotRow extends Record<string, unknown> {
  name: string;
  active: boolean;
  /** reserved, extended, unreserved or lost (view pg_replication_slots). */
  status: string | null;
  /** 17 and newer: wal_removed, idle_timeout, rows_removed, wal_level_insufficient. */
  reason: string | null;
  retained: string | null;
}

const SLOTS = `
  select slot_name as name, active, wal_status as status, to_jsonb(slots) ->> 'invalidation_reason' as reason,
         pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                         restart_lsn)::text as retained
    from pg_replication_slots slots where not temporary order by slot_name`;

/** Those that lost their WAL, and those that nobody reads and that keep more of it than checkpoints would. */
export async function checkSlots(client: SqlClient, own: readonly string[]): Promise<SourceCheck[]> {
  const rows = await query<SlotRow>(client, SLOTS);
  const others = rows.filter(({ name }) => !own.includes(name));
  return [
    ...own.map((name) =>
      checkOwn(
        name,
        rows.find((row) => row.name === name),
      ),
    ),
    ...others.flatMap((row) => (isIdle(row) ? [checkOther(row)] : [])),
  ];
}

/** Beyond max_wal_size: a checkpoint would have removed it but for the slot. */
function isIdle({ active, status }: SlotRow): boolean {
  return !active && (status === 'extended' || status === 'unreserved');
}

function keeps({ retained }: SlotRow): string {
  return `keeps ${formatBytes(Math.max(0, Number(retained ?? 0)))} of WAL`;
}

function checkOwn(slot: string, row: SlotRow | undefined): SourceCheck {
  const name = 'replication slot';
  if (!row) return { name, ok: true, found: `${slot} is not there: the WAL stream makes it (lifeboat apply)` };
  const fault = { name, ok: false, backupGoesOn: true } as const;
  if (row.status === 'lost' || row.reason !== null) {
    const why = row.reason ?? 'WAL beyond max_slot_wal_keep_size was removed';
    const hint =
      `lifeboat apply starts the WAL stream, which makes it anew and orders a full backup; by hand: ` +
      `select pg_drop_replication_slot('${slot}'); then raise max_slot_wal_keep_size`;
    return { ...fault, found: `${slot} was invalidated: ${why}`, hint };
  }
  if (isIdle(row)) {
    const hint = 'lifeboat apply starts the WAL stream; a slot without one fills the disk';
    return { ...fault, found: `${slot} ${keeps(row)}, and nobody reads it`, hint };
  }
  const state = row.active ? 'in use' : 'not in use';
  const advice = row.active ? {} : { hint: 'lifeboat apply starts the WAL stream' };
  return { name, ok: true, found: `${slot} is ${state}, ${keeps(row)}`, ...advice };
}

function checkOther(row: SlotRow): SourceCheck {
  return {
    ...{ name: `slot ${row.name}`, ok: false, backupGoesOn: true },
    found: `${keeps(row)}, and nobody reads it`,
    hint: `start who reads it; when nobody does any more: select pg_drop_replication_slot('${row.name}')`,
  };
}
