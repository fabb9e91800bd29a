import type { Sample } from './fit.ts';
import { fit } from './fit.ts';
import type { Measurement, RecoveryLoad } from './measurement.ts';
import type { Phase } from './recovery.ts';
import { PHASES } from './recovery.ts';
import { formatDuration } from './units.ts';

/** How long a recovery will take, on what that rests, and whether it keeps the objective. */
export interface RtoForecast {
  seconds: number;
  /** Nine of ten recoveries should end between these; with nothing measured, that is a guess too. */
  lowSeconds: number;
  highSeconds: number;
  phases: Record<Phase, number>;
  load: RecoveryLoad;
  /** measured: on this host; elsewhere: on other hosts only; defaults: nowhere. */
  restsOn: 'measured' | 'elsewhere' | 'defaults';
  drills: number;
  restores: number;
  /** ISO 8601 UTC. */
  newestAt?: string;
  /** Host that the forecast is for; absent when none has been measured. */
  host?: string;
  /** Measurements on other hosts, which do not count where there are some of this one. */
  otherHosts: number;
  objectiveMs?: number;
  /** broken: it takes longer than the objective; at risk: it may. Absent without an objective. */
  verdict?: 'kept' | 'at risk' | 'broken';
  /** What it rests on, in words. */
  says: string;
}

export interface Forecasting {
  measurements: readonly Measurement[];
  /** Where the recovery will run; absent: where the newest one ran. */
  host?: string;
  nowMs: number;
  objectiveMs?: number;
}

/** Where nothing was measured: one ordinary disk and two cores. */
export const DEFAULT_RATES = { fetchBytes: 80 * 2 ** 20, replayBytes: 40 * 2 ** 20, proveBytes: 400 * 2 ** 20 };
/** A default may be wrong by so much in both directions. */
export const DEFAULT_FACTOR = 4;
const WIDEST_FACTOR = 20;
/** What was measured on other hosts says less of this one: its spread counts so many times. */
const ELSEWHERE = 2;
/** A measurement counts half after this: disks, clusters and settings change. */
const HALF_LIFE_MS = 90 * 86_400_000;
const DAY_MS = 86_400_000;

/** What a phase depends on, with the usual seconds for one of each. */
const TERMS: Record<Phase, { usual: number[]; x(load: RecoveryLoad): number[] }> = {
  find: { usual: [0.5], x: () => [1] },
  fetch: {
    usual: [0.5, 1 / DEFAULT_RATES.fetchBytes, 0.5],
    x: ({ fetchBytes, links }) => [1, fetchBytes, Math.max(0, links - 1)],
  },
  replay: { usual: [1, 1 / DEFAULT_RATES.replayBytes], x: ({ walBytes }) => [1, walBytes] },
  open: { usual: [1], x: () => [1] },
  prove: { usual: [2, 1 / DEFAULT_RATES.proveBytes], x: ({ clusterBytes }) => [1, clusterBytes] },
};

/** Forecasts a recovery from what earlier ones of the same cluster took, phase by phase. */
export function forecastOf(load: RecoveryLoad, use: Forecasting): RtoForecast {
  const newest = newestOf(use.measurements);
  const host = use.host ?? newest?.host;
  const here = use.measurements.filter((each) => each.host === host);
  const counted = here.length > 0 ? here : use.measurements;
  const restsOn = counted.length === 0 ? 'defaults' : here.length > 0 ? 'measured' : 'elsewhere';
  const phases = PHASES.map((phase) => [phase, phaseOf(phase, load, { counted, nowMs: use.nowMs })] as const);
  const seconds = phases.reduce((sum, [, { mean }]) => sum + mean, 0);
  const sd =
    Math.sqrt(phases.reduce((sum, [, each]) => sum + each.sd ** 2, 0)) * (restsOn === 'elsewhere' ? ELSEWHERE : 1);
  const factor = restsOn === 'defaults' ? DEFAULT_FACTOR : Math.min(WIDEST_FACTOR, 1 + (2 * sd) / seconds);
  const newestAt = newestOf(counted)?.at;
  const facts = {
    ...{ seconds: rounded(seconds), lowSeconds: rounded(seconds / factor), highSeconds: rounded(seconds * factor) },
    phases: Object.fromEntries(phases.map(([phase, { mean }]) => [phase, rounded(mean)])) as Record<Phase, number>,
    ...{ load, restsOn },
    drills: counted.filter(({ kind }) => kind === 'drill').length,
    restores: counted.filter(({ kind }) => kind === 'restore').length,
    ...(newestAt === undefined ? {} : { newestAt }),
    ...(host === undefined ? {} : { host }),
    otherHosts: here.length > 0 ? use.measurements.length - here.length : 0,
    ...verdictOf(seconds, factor, use.objectiveMs),
  } satisfies Omit<RtoForecast, 'says'>;
  return { ...facts, says: saysOf(facts, use.nowMs) };
}

function phaseOf(
  phase: Phase,
  load: RecoveryLoad,
  { counted, nowMs }: { counted: readonly Measurement[]; nowMs: number },
): { mean: number; sd: number } {
  const { usual, x } = TERMS[phase];
  const samples = counted.flatMap((each): Sample[] => {
    const ms = each.phases[phase];
    if (ms === undefined) return [];
    return [{ x: x(each.load), y: ms / 1000, weight: 0.5 ** (ageMs(each.at, nowMs) / HALF_LIFE_MS) }];
  });
  const expected = x(load);
  if (samples.length > 0) return fit(samples, usual).predict(expected);
  const mean = usual.reduce((sum, each, index) => sum + each * (expected[index] ?? 0), 0);
  return { mean, sd: (mean * (DEFAULT_FACTOR - 1)) / 2 };
}

function newestOf(measurements: readonly Measurement[]): Measurement | undefined {
  return measurements.toSorted((a, b) => (a.at < b.at ? -1 : 1)).at(-1);
}

function ageMs(at: string, nowMs: number): number {
  return Math.max(0, nowMs - Date.parse(at));
}

function verdictOf(
  seconds: number,
  factor: number,
  objectiveMs: number | undefined,
): Pick<RtoForecast, 'objectiveMs' | 'verdict'> {
  if (objectiveMs === undefined) return {};
  const isLate = seconds * 1000 > objectiveMs;
  return { objectiveMs, verdict: isLate ? 'broken' : seconds * factor * 1000 > objectiveMs ? 'at risk' : 'kept' };
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

function saysOf(facts: Omit<RtoForecast, 'says'>, nowMs: number): string {
  const { drills, restores, restsOn, newestAt, host, otherHosts } = facts;
  if (restsOn === 'defaults' || newestAt === undefined)
    return `nothing was measured yet, so it rests on defaults and may be wrong by a factor of ${DEFAULT_FACTOR}`;
  const counts = [counted(drills, 'drill'), counted(restores, 'restore')].filter((text) => text !== '').join(' and ');
  const where = restsOn === 'measured' ? ` on host ${host}` : ` on other hosts than ${host}`;
  const apart = otherHosts > 0 ? `; ${otherHosts} on other hosts do not count` : '';
  return `${counts}${where}, newest ${agoText(ageMs(newestAt, nowMs))}${apart}`;
}

function counted(number: number, what: string): string {
  return number === 0 ? '' : `${number} ${what}${number === 1 ? '' : 's'}`;
}

function agoText(ms: number): string {
  if (ms >= DAY_MS) return `${counted(Math.floor(ms / DAY_MS), 'day')} ago`;
  return ms < 60_000 ? 'just now' : `${formatDuration(ms)} ago`;
}

/** "12m (6m to 24m), of 1h promised: kept" */
export function forecastText({ seconds, lowSeconds, highSeconds, objectiveMs, verdict }: RtoForecast): string {
  const span = (value: number): string => formatDuration(value * 1000);
  const promised = objectiveMs === undefined ? '' : `, of ${formatDuration(objectiveMs)} promised: ${verdict}`;
  return `${span(seconds)} (${span(lowSeconds)} to ${span(highSeconds)})${promised}`;
}
