import type { Lsn } from '../../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentStart } from '../../../../../workflows/model/lsn.ts';
import { rangesOf } from '../../../../../workflows/model/wal-coverage.ts';
import type { RecoveryPlan } from '../../../../../workflows/model/recovery.ts';
import { query, withConnection } from '../../../../io/postgres/connection.ts';
import type { ServerOptions } from '../../../../io/postgres/options.ts';
import type { Run } from '../../../../io/run.ts';
import { serverPlace } from '../../../../io/postgres/choose-server.ts';
import { failure } from '../../../../../workflows/model/failure.ts';
import type { WalVault } from '../../../source.ts';
import { storedSegment } from '../../wal/stored-segment.ts';
import { endOfRecords } from '../tablespace-records.ts';
import type { Replaying } from '../start.ts';
import { upstreamOf } from './settings.ts';

/** What a standby has to replay so that it is known to follow: where the other side was when it was asked. */
export interface Goal {
  lsn: Lsn;
  timeline: number;
  /** "db1:5432"; absent: the vault. */
  primary?: string;
}

export function goalOf({ plan, options, wal, run }: Replaying): Promise<Goal> {
  const upstream = upstreamOf({ plan, options });
  return upstream ? flushedOn(upstream, plan, run) : storedEnd(wal, plan);
}

async function flushedOn(upstream: ServerOptions, { base }: RecoveryPlan, run: Run): Promise<Goal> {
  const place = serverPlace(upstream);
  return withConnection(upstream, { signal: run.signal }, async (sql) => {
    const [row] = await query<{ standby: boolean; lsn: string; timeline: number; system: string }>(
      sql,
      `select r as standby, case when not r then pg_current_wal_flush_lsn()::text end as lsn,
              case when not r then ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int end as timeline,
              system_identifier::text as system
         from pg_is_in_recovery() r, pg_control_system()`,
    );
    if (row && !row.standby && row.system === base.systemId)
      return { lsn: row.lsn, timeline: row.timeline, primary: place };
    throw failure('Precondition', `${place} is not the primary any more that it was when the restore began`, {
      place,
      expected: `the primary of system ${base.systemId}`,
      found: row?.standby ? 'a standby' : `a primary of system ${row?.system}`,
      hint: 'begin again: it follows the primary of then',
    });
  });
}

/**
 * End of the last record that is stored as a whole, on the way that the plan takes and up to the first hole: what comes
 * behind it is the beginning of one, which nobody can replay yet.
 */
async function storedEnd(wal: WalVault, plan: RecoveryPlan): Promise<Goal> {
  const { base, timeline, legs } = plan;
  const { fromLsn, toLsn } = legs.at(-1) ?? { fromLsn: base.startLsn, toLsn: base.stopLsn };
  const ranges = rangesOf(await wal.list({ systemId: base.systemId, timeline, fromLsn }));
  const range = ranges.find((each) => compareLsn(each.startLsn, toLsn) <= 0 && compareLsn(each.endLsn, toLsn) >= 0);
  const end = parseLsn(range?.endLsn ?? toLsn);
  const size = BigInt(base.segmentBytes);
  for (let start = segmentStart(end - 1n, base.segmentBytes); start + size > parseLsn(fromLsn); start -= size) {
    const segment = await storedSegment(wal, base, { timeline, start });
    const last = segment && endOfRecords(segment.bytes, start, Math.min(segment.knownBytes, Number(end - start)));
    if (last !== undefined) return { lsn: formatLsn(start + BigInt(last)), timeline };
  }
  return { lsn: fromLsn, timeline };
}
