import type { Picture } from '../../../../activities/report/index.ts';
import { spanText } from '../../../../activities/report/index.ts';
import type { ReportSeries, ReportSpan } from '../../../../workflows/model/report.ts';
import type { Gap } from '../pair/load.ts';
import type { Stage } from './stage.ts';

const BIN_MS = 1_000;
const FINE_BIN_MS = 100;
/** What is shown before and behind an outage. */
const MARGIN_MS = 1_500;
const CLIENTS = 'clients';
const WRITER = 'writer';

type Window = Gap;

/** Who took writes, whether clients were served, and what the runs did meanwhile. */
export function pictureOf(stage: Stage, gaps: readonly Gap[]): Picture {
  const { events } = stage.story;
  const window = { fromMs: Date.parse(events[0]?.at ?? ''), toMs: Date.parse(events.at(-1)?.at ?? '') };
  return drawn(stage, { gaps, window, binMs: BIN_MS });
}

/** The same around one outage, large. */
export function closeUp(stage: Stage, gap: Gap, gaps: readonly Gap[]): Picture {
  const window = { fromMs: gap.fromMs - MARGIN_MS, toMs: gap.toMs + MARGIN_MS };
  return drawn(stage, { gaps, window, binMs: FINE_BIN_MS });
}

function drawn(
  { load, probe, spans, story }: Stage,
  { gaps, window, binMs }: { gaps: readonly Gap[]; window: Window; binMs: number },
): Picture {
  const outages = gaps.map((gap) => spanOf(CLIENTS, `nobody served: ${spanText(gap.toMs - gap.fromMs)}`, gap));
  const writers = probe.spans.map((span) => spanOf(WRITER, span.node, span));
  return {
    ...{ startedAt: isoOf(window.fromMs), finishedAt: isoOf(window.toMs) },
    events: story.events.filter(({ lane, at }) => lane === 'world' && isIn(window, Date.parse(at))),
    spans: [...writers, ...outages.map((span) => ({ ...span, tone: 'bad' as const })), ...spans].flatMap((span) =>
      clipped(span, window),
    ),
    series: [
      rateOf(
        load.acknowledged.map(({ atMs }) => atMs),
        { window, binMs },
      ),
    ],
  };
}

function spanOf(lane: string, label: string, { fromMs, toMs }: Gap): ReportSpan {
  return { lane, label, from: isoOf(fromMs), to: isoOf(toMs), tone: 'good' };
}

function clipped(span: ReportSpan, { fromMs, toMs }: Window): ReportSpan[] {
  const [from, to] = [Math.max(fromMs, Date.parse(span.from)), Math.min(toMs, Date.parse(span.to))];
  return from < to ? [{ ...span, from: isoOf(from), to: isoOf(to) }] : [];
}

function rateOf(timesMs: readonly number[], { window, binMs }: { window: Window; binMs: number }): ReportSeries {
  const bins = Math.max(1, Math.floor((window.toMs - window.fromMs) / binMs));
  const counts = Array.from({ length: bins }, () => 0);
  for (const ms of timesMs) {
    const bin = Math.floor((ms - window.fromMs) / binMs);
    if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const points = counts.map((count, bin) => ({
    at: isoOf(window.fromMs + bin * binMs),
    value: Math.round((count * 1000) / binMs),
  }));
  return { lane: CLIENTS, label: 'orders acknowledged per second', points };
}

function isIn({ fromMs, toMs }: Window, ms: number): boolean {
  return ms >= fromMs && ms <= toMs;
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
