import { findFailure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import { streamSlots } from '../../../../workflows/model/names.ts';
import type { SlotStatus, WalRange, WalStatus } from '../../../../workflows/model/wal.ts';
import { gapsOf, rangesOf } from '../../../../workflows/model/wal-coverage.ts';
import type { ServerWish } from '../../../../workflows/model/server-role.ts';
import { chooseServer, wishOf } from '../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { ArchiveOptions, WalVault } from '../../source.ts';
import { archiverSide } from './archive/archiver.ts';
import { readIdentity } from '../identity.ts';
import type { PostgresOptions } from '../options.ts';
import type { Slot } from './slot.ts';
import { readSlot } from './slot.ts';

export interface StatusQuery {
  name: string;
  options: PostgresOptions;
  vault: WalVault;
  slot: string;
  streams?: number;
  left?: readonly string[];
  from?: ServerWish;
  archive?: ArchiveOptions;
  run: Run;
  /** Cluster to show when the server cannot be asked. */
  systemId?: string;
}

/** What the vault holds, and how far the server is ahead of it. */
export async function walStatus(at: StatusQuery): Promise<WalStatus> {
  try {
    const { connection } = at.options;
    const want = wishOf(connection, at.from);
    const chosen = await chooseServer(connection, { signal: at.run.signal, want });
    return await withConnection(chosen.connection, {}, async (sql) => {
      const identity = await readIdentity(sql);
      const held = await heldBy(at.vault, identity.systemId);
      return {
        source: at.name,
        systemId: identity.systemId,
        ...held,
        server: await serverSide(sql, at, { held: held.ranges, timeline: identity.timeline }),
      };
    });
  } catch (error) {
    const systemId = at.systemId ?? '';
    const held = systemId === '' ? { ranges: [], gaps: [], histories: [] } : await heldBy(at.vault, systemId);
    return { source: at.name, systemId, ...held, unreachable: findFailure(error)?.message ?? String(error) };
  }
}

async function heldBy(vault: WalVault, systemId: string): Promise<Pick<WalStatus, 'ranges' | 'gaps' | 'histories'>> {
  const ranges = rangesOf(await vault.list({ systemId }));
  return { ranges, gaps: gapsOf(ranges), histories: await vault.histories(systemId) };
}

async function serverSide(
  sql: SqlClient,
  at: StatusQuery,
  vault: { held: WalRange[]; timeline: number },
): Promise<NonNullable<WalStatus['server']>> {
  const [now] = await query<{ flush: string; ms: string }>(
    sql,
    `select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end::text as flush,
            (extract(epoch from clock_timestamp()) * 1000)::text as ms`,
  );
  const flushLsn = now?.flush ?? '0/0';
  const newest = vault.held.filter((range) => range.timeline === vault.timeline).at(-1);
  const lagBytes = newest && compareLsn(flushLsn, newest.endLsn) > 0 ? lsnDistanceBytes(newest.endLsn, flushLsn) : 0;
  const lag =
    newest?.lastCommitAt === undefined
      ? {}
      : { lagMs: Math.max(0, Math.round(Number(now?.ms) - Date.parse(newest.lastCommitAt))) };
  const { timeline, held } = vault;
  const kept = at.archive ? await archiverSide(sql, { flushLsn, held }) : await slotsSide(sql, at, flushLsn);
  return { flushLsn, timeline, lagBytes, ...lag, ...kept, ...(await leftSide(sql, at, flushLsn)) };
}

/** Those that are there; nobody streams from them. */
async function leftSide(
  sql: SqlClient,
  { left = [] }: Pick<StatusQuery, 'left'>,
  flushLsn: Lsn,
): Promise<{ left?: SlotStatus[] }> {
  const found: SlotStatus[] = [];
  for (const name of left) found.push(await slotSide(sql, name, flushLsn));
  const there = found.filter(({ slotState }) => slotState !== 'missing');
  return there.length > 0 ? { left: there } : {};
}

async function slotsSide(
  sql: SqlClient,
  { slot, streams }: Pick<StatusQuery, 'slot' | 'streams'>,
  flushLsn: Lsn,
): Promise<SlotStatus & { others?: SlotStatus[] }> {
  const first = await slotSide(sql, slot, flushLsn);
  const others: SlotStatus[] = [];
  for (const name of streamSlots(slot, streams).slice(1)) others.push(await slotSide(sql, name, flushLsn));
  return others.length === 0 ? first : { ...first, others };
}

async function slotSide(sql: SqlClient, slotName: string, flushLsn: Lsn): Promise<SlotStatus> {
  const slot = await readSlot(sql, slotName);
  const retainedBytes = slot?.restartLsn === undefined ? 0 : Math.max(0, lsnDistanceBytes(slot.restartLsn, flushLsn));
  return { slot: slotName, slotState: stateOf(slot), retainedBytes };
}

function stateOf(slot: Slot | undefined): SlotStatus['slotState'] {
  if (!slot) return 'missing';
  if (slot.walStatus === 'lost') return 'lost';
  return slot.activePid === undefined ? 'inactive' : 'streaming';
}
