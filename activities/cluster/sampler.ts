import { failure, findFailure } from '../../workflows/model/failure.ts';
import type { PrimarySample, SampleRing } from '../../workflows/model/primary-samples.ts';
import { addSample } from '../../workflows/model/primary-samples.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { ClusterConfig } from '../config/index.ts';
import type { Run } from '../io/run.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query, withConnection } from '../io/postgres/connection.ts';
import { beat } from './heartbeat.ts';
import { connectionOf } from './node.ts';

export interface Sampling {
  service: string;
  cluster: ClusterConfig;
  run: Run;
  /** What was kept before. */
  ring: SampleRing | undefined;
  /** Keeps them away from the servers, durably. */
  keep(ring: SampleRing): Promise<void>;
}

const EVERY_MS = 1_000;
/** A statement that takes longer says that the server does not answer. */
const ANSWER_MS = 3_000;
/** Without a sample for so long the attempt ends, and says why. */
const PATIENCE_MS = 20_000;
const WRITER = 'sampler';

interface Row extends Record<string, unknown> {
  standby: boolean;
  system: string;
  timeline: number;
  at: string;
  lsn: string;
  xid: string;
  readonly: boolean;
}

/** What follows `at` is read behind it. A standby has no position to flush. */
const STATE = `
  select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
         case when r then '0/0' else pg_current_wal_flush_lsn()::text end as lsn,
         case when r then 0 else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
         pg_snapshot_xmax(pg_current_snapshot())::text as xid, s.system_identifier::text as system, r as standby,
         current_setting('transaction_read_only') = 'on' as readonly
    from pg_is_in_recovery() r, pg_control_system() s`;

/** Keeps a sample of whichever node is the primary each second, for as long as it lives; another primary is found by itself. */
export async function sampleFor(use: Sampling): Promise<never> {
  const { run } = use;
  let { ring } = use;
  let keptMs = run.clock.nowMs();
  for (;;) {
    const kept = (next: SampleRing): void => void ([ring, keptMs] = [next, run.clock.nowMs()]);
    const why = await alongPrimary(use, () => ring, kept);
    if (run.clock.nowMs() - keptMs > PATIENCE_MS) throw noSample(use, why);
    run.progress({ phase: 'look for the primary', note: why });
    await run.clock.sleep(EVERY_MS, run.signal);
  }
}

/** Each node in turn: the one that is the primary is followed until it is none, or does not answer; why, is the answer. */
async function alongPrimary(
  use: Sampling,
  before: () => SampleRing | undefined,
  kept: (ring: SampleRing) => void,
): Promise<string> {
  const said: string[] = [];
  for (const [name, node] of Object.entries(use.cluster.nodes)) {
    const options = connectionOf({ node, cluster: use.cluster }, true);
    // A primary that is being taken down takes no writes, ours no more than others'.
    const mode = { statementTimeoutMs: ANSWER_MS, signal: use.run.signal, settings: { synchronous_commit: 'local' } };
    try {
      await withConnection(options, mode, async (sql) => {
        for (;;) {
          const [row] = await query<Row>(sql, STATE);
          if (!row || row.standby) break;
          const ring = addSample(before(), primaryOf(use, name, row), sampleOf(row));
          await use.keep(ring);
          kept(ring);
          await afterSample(use, sql, row);
        }
      });
      said.push(`${name} is a standby`);
    } catch (error) {
      use.run.signal.throwIfAborted();
      const known = findFailure(error);
      if (!known) throw error;
      said.push(known.message);
    }
  }
  return said.join('; ');
}

async function afterSample({ service, run }: Sampling, sql: SqlClient, { at, lsn, readonly }: Row): Promise<void> {
  if (!readonly) await beat({ service }, sql, WRITER);
  run.progress({ phase: 'sample', note: `${lsn} at ${at}` });
  await run.clock.sleep(EVERY_MS, run.signal);
}

function primaryOf(
  { service }: Sampling,
  node: string,
  { system: systemId, timeline }: Row,
): Omit<SampleRing, 'format' | 'samples'> {
  return { service, node, systemId, timeline };
}

function sampleOf({ at, lsn, xid }: Row): PrimarySample {
  return { at, lsn, xid };
}

function noSample({ service }: Sampling, why: string): Error {
  return failure('Unavailable', `nobody writes down where the primary of ${service} is: ${why}`, {
    place: `services.${service}.cluster.nodes`,
    expected: `a primary that answers, and a vault that takes a sample, within ${formatDuration(PATIENCE_MS)}`,
    found: why,
    hint: 'what a failover would lose cannot be told better than by the WAL in the vault; it is tried again by itself',
  });
}
