import type { Figure } from '../figures.ts';
import { figureOf } from '../figures.ts';
import type { Absent, Contestant } from './contestant.ts';
import type { PlaceKind, RivalOptions } from './options.ts';
import { toBestRival } from './ratios.ts';
import { LINE } from './rows.ts';
import type { ShipWork } from './shipping.ts';
import type { Cell, Line } from './turns.ts';

export interface PlaceResult {
  kind: PlaceKind;
  lines: Line[];
}

export interface Outcome {
  options: RivalOptions;
  machine: string;
  postgres: string;
  databaseBytes: number;
  contestants: Pick<Contestant, 'name' | 'program' | 'settings'>[];
  absent: Absent[];
  results: PlaceResult[];
  failures: string[];
}

type Row = string[];
type Sample = Extract<Cell, { samples: unknown }>['samples'][number];

const MIB = 2 ** 20;
const HEAD = ['what', 'who', 'wall', 'CPU', 'server CPU', 'peak RSS', 'stored', 'read', 'to the best rival'];
const SHIP_HEAD = ['who', 'written', 'stored', 'lag p50', 'lag p99', 'lag max', 'CPU a GB', 'server CPU', 'peak RSS'];

/** All figures of one kind of store. */
export function tables(outcome: Outcome, { lines }: PlaceResult): string {
  const parts = [
    aligned(
      HEAD,
      bodyOf(
        lines.filter(({ name }) => name !== LINE.ship),
        outcome,
        sampleRow,
      ),
    ),
  ];
  const ship = lines.filter(({ name }) => name === LINE.ship);
  if (ship.length > 0) parts.push(aligned(SHIP_HEAD, bodyOf(ship, outcome, shipRow)));
  return parts.join('\n\n');
}

type RowOf = (line: Line, who: string, samples: Sample[]) => Row;

/** A row for everyone who was to be measured, in the same order everywhere, with a reason where there are no figures. */
function bodyOf(lines: readonly Line[], { contestants, absent }: Outcome, rowOf: RowOf): Row[] {
  return lines.flatMap((line) => [
    ...contestants.flatMap(({ name }) => {
      const cell = line.cells.get(name);
      if (!cell) return [];
      return ['samples' in cell ? rowOf(line, name, cell.samples) : without(line, name, cell.reason)];
    }),
    ...absent.map(({ name }) => without(line, name, 'not measured, as said below')),
  ]);
}

function without({ name }: Line, who: string, reason: string): Row {
  return name === LINE.ship ? [who, reason, '', '', '', '', '', '', ''] : [name, who, reason, '', '', '', '', '', ''];
}

function sampleRow(line: Line, who: string, samples: Sample[]): Row {
  const wall = figureOf(samples.map(({ wallMs }) => wallMs));
  const ratio = toBestRival(line, ({ wallMs }) => wallMs, [who]);
  return [
    line.name,
    who,
    `${seconds(wall)}${rateOf(samples, wall)}`,
    shown(samples, ({ cpuSeconds }) => cpuSeconds, asSeconds),
    shown(samples, ({ serverCpuSeconds }) => serverCpuSeconds, asSeconds),
    shown(samples, ({ peakRssBytes }) => peakRssBytes, mebibytes),
    shown(samples, ({ storedBytes }) => storedBytes, mebibytes),
    shown(samples, ({ readBytes }) => readBytes, mebibytes),
    ratio === null ? '' : ratio.toFixed(2),
  ];
}

function rateOf(samples: readonly Sample[], wall: Figure): string {
  const bytes = samples[0]?.walBytes;
  return bytes === undefined ? '' : `, ${(bytes / 1e6 / (wall.median / 1000)).toFixed(0)} MB/s`;
}

function shipRow(_line: Line, who: string, samples: Sample[]): Row {
  const of = (value: (sample: ShipWork) => number): Figure => figureOf(samples.map((one) => value(one as ShipWork)));
  const ms = ({ median, least, most }: Figure): string => `${whole(median)} ms (${whole(least)} to ${whole(most)})`;
  return [
    who,
    rate(of(({ writtenMBs }) => writtenMBs)),
    rate(of(({ storedMBs }) => storedMBs)),
    ms(of(({ lagP50Ms }) => lagP50Ms)),
    ms(of(({ lagP99Ms }) => lagP99Ms)),
    ms(of(({ lagMaxMs }) => lagMaxMs)),
    asSeconds(of(({ cpuSecondsPerGb }) => cpuSecondsPerGb).median),
    shown(samples, ({ serverCpuSeconds }) => serverCpuSeconds, asSeconds),
    shown(samples, ({ peakRssBytes }) => peakRssBytes, mebibytes),
  ];
}

function shown(
  samples: readonly Sample[],
  value: (sample: Sample) => number | undefined,
  as: (value: number) => string,
): string {
  const values = samples.flatMap((sample) => value(sample) ?? []);
  return values.length === 0 ? '' : as(figureOf(values).median);
}

function aligned(head: Row, body: Row[]): string {
  const table = [head, ...body];
  const widths = head.map((_, column) => Math.max(3, ...table.map((row) => row[column]?.length ?? 0)));
  const said = (row: Row): string => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [said(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(said)].join('\n');
}

function seconds({ median, least, most }: Figure): string {
  return `${asSeconds(median / 1000)} (${(least / 1000).toFixed(2)} to ${(most / 1000).toFixed(2)})`;
}

function asSeconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

function rate({ median, least, most }: Figure): string {
  return `${whole(median)} MB/s (${whole(least)} to ${whole(most)})`;
}

function whole(value: number): string {
  return value.toFixed(0);
}

export function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
}
