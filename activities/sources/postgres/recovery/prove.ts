import { findFailure } from '../../../../workflows/model/failure.ts';
import { compareLsn } from '../../../../workflows/model/lsn.ts';
import type { Check, Proof, RecoveryPlan, ReplayEvidence } from '../../../../workflows/model/recovery.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { PostgresOptions, Probe } from '../options.ts';
import { askable, onlyChosen } from './prove-partial.ts';
import { readEverything } from './relations.ts';
import { withRecovered } from './session.ts';
import { timeMicros } from '../../../../workflows/model/target-parse.ts';

const PROBE_MS = 60_000;

export interface Proving {
  plan: RecoveryPlan;
  options: PostgresOptions;
  replay: ReplayEvidence;
  run: Run;
}

/** Whether what was recovered is what was asked for, and whole. */
export async function proveRecovered(use: Proving): Promise<Proof> {
  const { plan, replay, run, options } = use;
  const reading = await readEverything(plan, run);
  const readable: Check = {
    name: `every relation readable (${reading.method})`,
    ok: reading.problems.length === 0 && reading.relations > 0,
    expected: 'no error',
    found:
      reading.problems.length === 0
        ? `${reading.relations} relations, ${reading.rows} rows`
        : reading.problems.slice(0, 3).join('; '),
  };
  const probes: Check[] = [];
  const wished = (plan.mustHold ?? []).map((sql): Probe => ({ sql, equals: true }));
  const { database } = options.connection;
  const { asked, checks: notAsked } = askable(plan, [...options.probes, ...wished], database);
  for (const probe of asked) probes.push(await askProbe(plan, probe, database));
  const checks = [
    consistent(plan, replay),
    ...(plan.standby ? [] : [stopped(plan, replay)]),
    // Of a standby that streams it is its primary, and not the vault, that says how far it has to be.
    ...(plan.standby?.follow === 'streaming' ? [] : lastCommit(plan, replay)),
    await checksums(plan),
    ...(await onlyChosen(plan, replay)),
    readable,
    ...heldTables(reading.held),
    ...probes,
    ...notAsked,
  ];
  const behind = behindMs(plan, replay);
  return {
    ok: checks.every((check) => check.ok),
    checks,
    relations: reading.relations,
    rows: reading.rows,
    ...(behind === undefined ? {} : { behindTargetMs: behind }),
  };
}

const MOST_NAMED = 5;

/** The copy is what it must be at that moment, locks and all; what could not be read is said. */
function heldTables(held: readonly string[]): Check[] {
  if (held.length === 0) return [];
  const more = held.length > MOST_NAMED ? ', ...' : '';
  return [
    {
      name: 'tables not read',
      ok: true,
      expected: 'only those that a transaction of the source, prepared or under way, locks',
      found: `${held.length}: ${held.slice(0, MOST_NAMED).join(', ')}${more}`,
      detail: 'finish what is prepared (pg_prepared_xacts), then look at them',
    },
  ];
}

function consistent(plan: RecoveryPlan, replay: ReplayEvidence): Check {
  const reached = compareLsn(replay.consistentAt, plan.base.stopLsn) >= 0;
  return {
    name: 'consistent state',
    ok: reached,
    expected: `reached at ${plan.base.stopLsn} or later`,
    found: replay.consistentAt,
  };
}

/** The server's own words for each kind of target (xlogrecovery.c: recoveryStopsBefore, recoveryStopsAfter). */
function expectedStop(plan: RecoveryPlan): RegExp {
  const { target } = plan;
  switch (target.kind) {
    case 'time':
      return /^recovery stopping (before|after) (commit|abort) of (prepared )?transaction/;
    case 'xid':
      return new RegExp(
        `^recovery stopping ${target.inclusive ? 'after' : 'before'} (commit|abort) of (prepared )?transaction ${target.xid},`,
      );
    case 'lsn':
      return new RegExp(`^recovery stopping ${target.inclusive ? 'after' : 'before'} WAL location`);
    case 'name':
      return /^recovery stopping at restore point/;
    case 'immediate':
      return /^recovery stopping after reaching consistency/;
    case 'latest':
      return /^end of WAL$/;
  }
}

function stopped(plan: RecoveryPlan, replay: ReplayEvidence): Check {
  const expected = expectedStop(plan);
  return {
    name: 'stopped at the target',
    ok: expected.test(replay.stopReason),
    expected: describeTarget(plan),
    found: replay.stopReason,
  };
}

function describeTarget(plan: RecoveryPlan): string {
  const { target } = plan;
  if (target.kind === 'name') return `restore point ${target.name}`;
  if (target.kind === 'immediate') return 'end of the base backup';
  if (target.kind === 'latest') return 'end of WAL';
  const value = target.kind === 'time' ? target.time : target.kind === 'lsn' ? target.lsn : `transaction ${target.xid}`;
  return `${target.inclusive ? 'after' : 'before'} ${value}`;
}

/** Commits close to each other may stand in the WAL in another order than their times say. */
const ORDER_SLACK_MICROS = 2_000_000;

/** For a time: nothing behind the target was replayed. For the newest moment: what the vault had then was. */
function lastCommit(plan: RecoveryPlan, replay: ReplayEvidence): Check[] {
  const { target, window } = plan;
  const { lastCommitAt } = replay;
  const found = lastCommitAt ?? 'none replayed';
  const name = 'last replayed commit';
  if (target.kind === 'time') {
    const last = lastCommitAt === undefined ? -1 : timeMicros(lastCommitAt);
    const limit = timeMicros(target.time);
    const expected = `${target.inclusive ? 'not after' : 'before'} ${target.time}`;
    return [{ name, ok: target.inclusive ? last <= limit : last < limit, expected, found }];
  }
  if (target.kind !== 'latest' || window.to === undefined) return [];
  const reached = lastCommitAt !== undefined && timeMicros(lastCommitAt) >= timeMicros(window.to) - ORDER_SLACK_MICROS;
  return [{ name, ok: reached, expected: `${window.to}, the newest in the vault, or later`, found }];
}

function behindMs(plan: RecoveryPlan, replay: ReplayEvidence): number | undefined {
  if (plan.target.kind !== 'time' || replay.lastCommitAt === undefined) return undefined;
  return Math.max(0, Date.parse(plan.target.time) - Date.parse(replay.lastCommitAt));
}

async function checksums(plan: RecoveryPlan): Promise<Check> {
  const source = plan.settings['data_checksums'] ?? 'on';
  const found = await withRecovered(plan, {}, async (client) => {
    const [row] = await query<{ value: string; failures: string }>(
      client,
      `select current_setting('data_checksums') as value, (select coalesce(sum(checksum_failures), 0)::text from pg_stat_database) as failures`,
    );
    return row ?? { value: 'unknown', failures: 'unknown' };
  });
  const ok = found.value === source && found.failures === '0';
  return {
    name: 'page checksums',
    ok,
    expected: `${source}, as on the source, no failure`,
    found: `${found.value}, ${found.failures} failures`,
  };
}

async function askProbe(plan: RecoveryPlan, probe: Probe, database: string): Promise<Check> {
  const name = `probe: ${probe.sql}`.slice(0, 200);
  try {
    const rows = await withRecovered(
      plan,
      { database: probe.database ?? database, statementTimeoutMs: PROBE_MS, theirSearchPath: true },
      async (client) => {
        await query(client, 'begin read only');
        return query<Record<string, unknown>>(client, probe.sql);
      },
    );
    const found: unknown = Object.values(rows[0] ?? {})[0];
    const { ok, expected } = judge(probe, { found, rows: rows.length });
    return { name, ok, expected, found: probe.rows === undefined ? String(found) : `${rows.length} rows` };
  } catch (error) {
    return {
      name,
      ok: false,
      expected: 'an answer',
      found: (findFailure(error)?.message ?? String(error)).slice(0, 500),
    };
  }
}

function judge(probe: Probe, answer: { found: unknown; rows: number }): { ok: boolean; expected: string } {
  const { found, rows } = answer;
  if (probe.rows !== undefined)
    return { ok: rows > 0 === probe.rows, expected: probe.rows ? 'at least one row' : 'no row' };
  if (probe.atLeast !== undefined) return { ok: Number(found) >= probe.atLeast, expected: `at least ${probe.atLeast}` };
  if (probe.atMost !== undefined) return { ok: Number(found) <= probe.atMost, expected: `at most ${probe.atMost}` };
  return { ok: String(found) === String(probe.equals), expected: String(probe.equals) };
}
