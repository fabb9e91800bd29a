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
  /** physical or logical */
  type: string;
}

const SLOTS = `
  select slot_name as name, active, wal_status as status, slot_type as type, to_jsonb(slots) ->> 'invalidation_reason' as reason,
         pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                         restart_lsn)::text as retained
    from pg_replication_slots slots where not temporary order by slot_name`;

/** Slots by their names: those that WAL is streamed from, and those of streams that are no more. */
export interface OurSlots {
  own: readonly string[];
  left: readonly string[];
}

/** Those that lost their WAL, and those that nobody reads and that keep more of it than checkpoints would. */
export async function checkSlots(client: SqlClient, { own, left }: OurSlots): Promise<SourceCheck[]> {
  const rows = await query<SlotRow>(client, SLOTS);
  const leavings = rows.filter(({ name, type }) => left.includes(name) && type === 'physical');
  const others = rows.filter((row) => !own.includes(row.name) && !leavings.includes(row));
  return [
    ...own.map((name) =>
      checkOwn(
        name,
        rows.find((row) => row.name === name),
      ),
    ),
    ...leavings.map(checkLeft),
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

/** However little it keeps now: it will keep all that comes. */
function checkLeft(row: SlotRow): SourceCheck {
  const name = `slot ${row.name}`;
  if (row.active) {
    const hint = 'lifeboat apply ends a stream that wal.streams does not name, and its slot';
    return { name, ok: true, found: `in use, and wal.streams does not name it`, hint };
  }
  return {
    ...{ name, ok: false, backupGoesOn: true },
    found: `${keeps(row)} for a stream that wal.streams does not name`,
    hint: `lifeboat apply drops it with its stream; when no stream of it runs here or elsewhere: select pg_drop_replication_slot('${row.name}')`,
  };
}

function checkOther(row: SlotRow): SourceCheck {
  return {
    ...{ name: `slot ${row.name}`, ok: false, backupGoesOn: true },
    found: `${keeps(row)}, and nobody reads it`,
    hint: `start who reads it; when nobody does any more: select pg_drop_replication_slot('${row.name}')`,
  };
}
