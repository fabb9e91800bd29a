import { z } from 'zod';
import { findFailure } from '../workflows/model/failure.ts';
import type { Forecasting, RtoForecast } from '../workflows/model/forecast.ts';
import { forecastOf } from '../workflows/model/forecast.ts';
import { estimateOf } from '../workflows/model/estimate.ts';
import type { Measurement } from '../workflows/model/measurement.ts';
import { measurementOf } from '../workflows/model/measurement.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { Report } from '../workflows/model/report.ts';
import { PHASES } from '../workflows/model/recovery.ts';
import { chooseRoute } from '../workflows/model/choose.ts';
import { lsnDistanceBytes } from '../workflows/model/lsn.ts';
import type { Deps } from './deps.ts';
import type { ClusterHoldings } from './holdings.ts';
import { holdingsOf } from './holdings.ts';
import { orAborted } from './io/or-aborted.ts';
import { settledWithin } from './io/settled-within.ts';
import type { SourceUse } from './use-source.ts';
import type { Vault } from './vault/vault.ts';

/** Names sort by time; docs/format.md "Measurements". */
const PREFIX = 'measured-';
/** Older ones say little, and each is an object to read before a restore. */
const MOST_KEPT = 50;
const LONGEST_BYTES = 64 * 1024;
/** A store that hangs is given up by its own limits only after minutes. */
const PATIENCE_MS = 10_000;

const amount = z.number().nonnegative();
const schema = z.object({
  format: z.literal('lifeboat-measured/1'),
  kind: z.enum(['restore', 'drill']),
  run: z.string(),
  at: z.iso.datetime(),
  host: z.string(),
  load: z.object({ fetchBytes: amount, links: z.int().min(1), walBytes: amount, clusterBytes: amount }),
  phases: z.partialRecord(z.enum(PHASES), amount),
  rtoMs: amount,
});

/** Keeps what a proven recovery took; the oldest go. A repeat writes the same object again. */
export async function keepMeasurement(vault: Vault, report: Report): Promise<void> {
  const measurement = measurementOf(report);
  if (!measurement) return;
  const { startedAt, run } = report;
  const name = `${PREFIX}${startedAt.replaceAll(/[-:]|\.\d+/g, '')}-${run.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
  await vault.putReport(name, Buffer.from(JSON.stringify(measurement)));
  const names = await vault.reportNames(PREFIX);
  for (const old of names.slice(0, -MOST_KEPT)) await vault.removeReport(old);
}

/**
 * What was measured, oldest first. One that cannot be read, or is not there in good time, is left out: a forecast is no reason
 * to keep a restore waiting.
 */
export async function readMeasurements({ vault, run }: Pick<SourceUse, 'vault' | 'run'>): Promise<Measurement[]> {
  const orNone = async <T>(what: string, read: () => Promise<T[]>): Promise<T[]> => {
    try {
      return await read();
    } catch (error) {
      if (run.signal.aborted) throw error;
      run.log.warn(`${what} cannot be read`, { error: findFailure(error)?.message ?? String(error) });
      return [];
    }
  };
  const found: Measurement[][] = [];
  let isWhole = false;
  const reading = async (): Promise<void> => {
    const names = (await orNone('measurements', () => vault.reportNames(PREFIX))).slice(-MOST_KEPT);
    const read = async (name: string, index: number): Promise<void> => {
      found[index] = await orNone(name, async () => parsed(await vault.readReport(name)));
    };
    await Promise.all(names.map(read));
    isWhole = true;
  };
  await orAborted(run.signal, () => settledWithin(run.clock, PATIENCE_MS, reading()));
  run.signal.throwIfAborted();
  if (!isWhole) run.log.warn('the store is slow: measurements are left out', { waitedMs: PATIENCE_MS });
  return found.flat();
}

/** What recoveries took, for a forecast on this host. */
export async function measuredFor(deps: Deps, use: SourceUse): Promise<Forecasting> {
  const { rtoMs } = use.config.objectives;
  return {
    measurements: await readMeasurements(use),
    ...{ host: deps.host, nowMs: deps.clock.nowMs() },
    ...(rtoMs === undefined ? {} : { objectiveMs: rtoMs }),
  };
}

function parsed(bytes: Buffer): Measurement[] {
  if (bytes.length > LONGEST_BYTES) return [];
  const { success, data } = schema.safeParse(JSON.parse(bytes.toString('utf8')));
  return success ? [data as Measurement] : [];
}

/**
 * How long a restore of the newest moment would take just before the next backup comes: with as much WAL behind the newest
 * point as lay between the last two. Undefined when nothing can be restored.
 */
export async function forecastRecovery(use: SourceUse, nowMs: number): Promise<RtoForecast | undefined> {
  const { points } = await use.vault.points();
  const newest = points.at(-1);
  if (!newest) return undefined;
  const { rtoMs } = use.config.objectives;
  const measured: Forecasting = {
    measurements: await readMeasurements(use),
    nowMs,
    ...(rtoMs === undefined ? {} : { objectiveMs: rtoMs }),
  };
  if (newest.dump) return forecastOf(loadOfDump(newest), measured);
  const holdings = await holdingsOf(use.vault, { systemId: newest.systemId, points });
  return worstOf(use.name, holdings, measured);
}

/** No WAL comes behind a dump. */
function loadOfDump({ bytes }: PointSummary): RtoForecast['load'] {
  return { fetchBytes: bytes, links: 1, walBytes: 0, clusterBytes: bytes };
}

function worstOf(source: string, holdings: ClusterHoldings, measured: Forecasting): RtoForecast {
  const { nowMs } = measured;
  const target = { kind: 'latest' } as const;
  const choice = chooseRoute(holdings, { source, target, timeline: 'latest', nowMicros: nowMs * 1000 });
  const { chain, base } = choice.route;
  const { forecast, walBytes } = estimateOf(chain, { legs: choice.legs, target, objects: holdings.objects, measured });
  const usualBytes = walBefore(holdings.points, base);
  if (usualBytes <= walBytes) return forecast;
  return forecastOf({ ...forecast.load, walBytes: usualBytes }, measured);
}

/** WAL that was written between a point and the one before it. */
function walBefore(points: readonly PointSummary[], base: PointSummary): number {
  const before = points[points.findIndex(({ point }) => point === base.point) - 1];
  return before ? Math.max(0, lsnDistanceBytes(before.startLsn, base.startLsn)) : 0;
}
