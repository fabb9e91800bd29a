import { figureOf } from '../figures.ts';
import type { Works } from './contestant.ts';
import { AGENTLESS, LOCAL } from './lifeboat.ts';
import { LINE } from './rows.ts';
import type { ShipWork } from './shipping.ts';
import type { Line } from './turns.ts';

type Sample = Works[string];
type Value = (sample: Sample) => number | undefined;

export interface Ratios {
  ratios: Record<
    'full' | 'fullAgentless' | 'incremental' | 'restore' | 'delta' | 'replay' | 'stored' | 'rss',
    number | null
  >;
  lagP99Ms: number | null;
  walMBps: number | null;
}

const OURS: readonly string[] = [AGENTLESS, LOCAL];
const wall: Value = ({ wallMs }) => wallMs;

/** Ours to the best rival, by medians; null where one of them has no figures. */
export function ratiosOf(lines: readonly Line[]): Ratios {
  const find = (name: string): Line | undefined => lines.find((line) => line.name === name);
  const ratio = (name: string, value: Value, who = OURS): number | null => {
    const line = find(name);
    return line ? toBestRival(line, value, who) : null;
  };
  const ours = (name: string, value: (sample: ShipWork) => number): number | null =>
    medianOf(find(name), AGENTLESS, (sample) => value(sample as ShipWork)) ?? null;
  return {
    ratios: {
      full: ratio(LINE.full, wall, [LOCAL]),
      fullAgentless: ratio(LINE.full, wall, [AGENTLESS]),
      incremental: ratio(LINE.changed, wall),
      restore: ratio(LINE.restoreFiles, wall),
      delta: ratio(LINE.delta, wall),
      replay: ratio(LINE.replay, wall),
      stored: ratio(LINE.full, ({ storedBytes }) => storedBytes),
      rss: rssRatio(find(LINE.full)),
    },
    lagP99Ms: rounded(ours(LINE.ship, ({ lagP99Ms }) => lagP99Ms)),
    walMBps: rounded(ours(LINE.ship, ({ storedMBs }) => storedMBs)),
  };
}

/** To WAL-G's, which is the wish: pgBackRest is written in C and in many processes. */
function rssRatio(line: Line | undefined): number | null {
  const memory: Value = ({ peakRssBytes }) => peakRssBytes;
  const ours = medianOf(line, LOCAL, memory) ?? medianOf(line, AGENTLESS, memory);
  const theirs = medianOf(line, 'WAL-G', memory);
  return ours === undefined || theirs === undefined ? null : rounded(ours / theirs);
}

/** The better of `who` to the best of the others. */
export function toBestRival(line: Line, value: Value, who = OURS): number | null {
  const best = (names: readonly string[]): number =>
    Math.min(...names.map((name) => medianOf(line, name, value) ?? Number.POSITIVE_INFINITY));
  const rivals = [...line.cells.keys()].filter((name) => !OURS.includes(name));
  const [ours, theirs] = [best(who), best(rivals)];
  return Number.isFinite(ours) && Number.isFinite(theirs) ? rounded(ours / theirs) : null;
}

export function medianOf(line: Line | undefined, who: string, value: Value): number | undefined {
  const cell = line?.cells.get(who);
  if (!cell || !('samples' in cell)) return undefined;
  const { median } = figureOf(cell.samples.flatMap((sample) => value(sample) ?? []));
  return Number.isNaN(median) ? undefined : median;
}

function rounded<Found extends number | null>(value: Found): Found {
  return (value === null ? null : Math.round(value * 1000) / 1000) as Found;
}
