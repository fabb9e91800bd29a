import type { Report, ReportEvent, ReportSeries, ReportSpan } from '../../workflows/model/report.ts';
import { escapeHtml } from './text.ts';

const WIDTH = 1120;
const LEFT = 132;
const RIGHT = 24;
const LANE_HEIGHT = 78;
const TOP = 14;

/** What is drawn: of a run, or of anything else that has lanes and times. */
export interface Picture extends Pick<Report, 'events' | 'spans' | 'series' | 'startedAt' | 'finishedAt'> {
  /** What stands below: seconds since it began (default), or the time of day. */
  axis?: 'elapsed' | 'clock';
}

interface Scale {
  fromMs: number;
  toMs: number;
  x(at: string): number;
}

/** The run as a picture: a lane for each actor, bars for what lasted, marks for what happened, curves for what was measured. */
export function timelineSvg(report: Picture): string {
  const lanes = laneNames(report);
  const scale = timeScale(report);
  const height = TOP + lanes.length * LANE_HEIGHT + 34;
  const rows = lanes.map((lane, index) => laneSvg(report, { lane, top: TOP + index * LANE_HEIGHT, scale }));
  return [
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="timeline of the run">`,
    axis(scale, TOP + lanes.length * LANE_HEIGHT, report.axis ?? 'elapsed'),
    ...rows,
    '</svg>',
  ].join('\n');
}

function laneNames(report: Picture): string[] {
  return [...new Set([...report.series, ...report.spans, ...report.events].map((item) => item.lane))];
}

function timeScale(report: Picture): Scale {
  const times = [
    ...report.events.map((event) => event.at),
    ...report.spans.flatMap((span) => [span.from, span.to]),
    ...report.series.flatMap((series) => series.points.map((point) => point.at)),
    report.startedAt,
    report.finishedAt,
  ].map((at) => Date.parse(at));
  const fromMs = Math.min(...times);
  const toMs = Math.max(...times, fromMs + 1);
  return { fromMs, toMs, x: (at) => LEFT + ((Date.parse(at) - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT - RIGHT) };
}

function axis(scale: Scale, bottom: number, kind: 'elapsed' | 'clock'): string {
  const stepMs = niceStep((scale.toMs - scale.fromMs) / 8);
  const lines: string[] = [];
  for (let offset = 0; scale.fromMs + offset <= scale.toMs; offset += stepMs) {
    const at = new Date(scale.fromMs + offset).toISOString();
    const x = scale.x(at);
    const label = kind === 'clock' ? at.slice(0, 16).replace('T', ' ') : `+${(offset / 1000).toLocaleString('en')} s`;
    lines.push(
      `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}"/>`,
      `<text class="tick" x="${x}" y="${bottom + 18}" text-anchor="middle">${label}</text>`,
    );
  }
  return lines.join('\n');
}

/** 1, 2 or 5 times a power of ten, so that ticks are round seconds. */
function niceStep(roughMs: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(roughMs, 1)));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= roughMs) ?? 10;
  return factor * power;
}

function laneSvg(report: Picture, place: { lane: string; top: number; scale: Scale }): string {
  const { lane, top, scale } = place;
  const mine = <T extends { lane: string }>(items: T[]): T[] => items.filter((item) => item.lane === lane);
  return [
    `<line class="rule" x1="0" x2="${WIDTH}" y1="${top + LANE_HEIGHT}" y2="${top + LANE_HEIGHT}"/>`,
    `<text class="lane" x="4" y="${top + 60}">${escapeHtml(lane)}</text>`,
    ...mine(report.series).map((series) => curve(series, top, scale)),
    ...mine(report.spans).map((span) => bar(span, top, scale)),
    ...marks(mine(report.events), top, scale),
  ].join('\n');
}

const NAME_ROWS = 3;
const LETTER_WIDTH = 6.2;

/** Each is named where there is room for the name; the others say it when they are pointed at, and in the table. */
function marks(events: ReportEvent[], top: number, scale: Scale): string[] {
  const taken = Array.from({ length: NAME_ROWS }, () => Number.NEGATIVE_INFINITY);
  return events.map((event) => {
    const x = scale.x(event.at);
    const width = event.what.length * LETTER_WIDTH;
    const from = isAtRight(x) ? x - 5 - width : x + 5;
    const row = taken.findIndex((end) => from > end);
    if (row >= 0) taken[row] = from + width;
    return mark(event, { top: top + Math.max(row, 0) * 13, laneBottom: top + LANE_HEIGHT - 8, scale, named: row >= 0 });
  });
}

function isAtRight(x: number): boolean {
  return x > WIDTH * 0.7;
}

function curve(series: ReportSeries, top: number, scale: Scale): string {
  const first = series.points[0];
  const last = series.points.at(-1);
  if (!first || !last) return '';
  const highest = Math.max(...series.points.map((point) => point.value), 1);
  const base = top + LANE_HEIGHT - 6;
  const y = (value: number): number => base - (value / highest) * (LANE_HEIGHT - 44);
  const line = series.points.map((point) => `L${scale.x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join('');
  const shape = `M${scale.x(first.at).toFixed(1)} ${base}${line}L${scale.x(last.at).toFixed(1)} ${base}Z`;
  return `<path class="curve" d="${shape}"><title>${escapeHtml(series.label)}, highest ${highest}</title></path>`;
}

function bar(span: ReportSpan, top: number, scale: Scale): string {
  const x = scale.x(span.from);
  const width = Math.max(scale.x(span.to) - x, 2);
  const label = escapeHtml(span.label);
  const fits = width > span.label.length * LETTER_WIDTH;
  return [
    `<rect class="bar ${span.tone}" x="${x.toFixed(1)}" y="${top + 46}" width="${width.toFixed(1)}" height="22" rx="4"><title>${label}</title></rect>`,
    fits ? `<text class="inside" x="${(x + 6).toFixed(1)}" y="${top + 61}">${label}</text>` : '',
  ].join('');
}

interface MarkPlace {
  top: number;
  laneBottom: number;
  scale: Scale;
  named: boolean;
}

function mark(event: ReportEvent, { top, laneBottom, scale, named }: MarkPlace): string {
  const x = scale.x(event.at);
  const atRight = isAtRight(x);
  const anchor = atRight ? 'end' : 'start';
  const line = `<line class="stroke ${event.tone}" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${top + 4}" y2="${laneBottom}"><title>${escapeHtml(event.what)}</title></line>`;
  if (!named) return line;
  return [
    line,
    `<text class="note ${event.tone}" x="${(x + (atRight ? -5 : 5)).toFixed(1)}" y="${top + 14}" text-anchor="${anchor}">${escapeHtml(event.what)}</text>`,
  ].join('');
}
