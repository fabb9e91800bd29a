import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import type { ReportEvent, ReportSpan } from '../../workflows/model/report.ts';
import type { Picture } from './timeline-svg.ts';

/** Marks with their names beside them are legible up to so many; the tables have all. */
const MOST_NAMED = 12;

/** Which moments of one copy can be reached: a lane a timeline, with what its bases and holes are. Undefined when there is none. */
export function pictureOf({ timelines, bases, holes, damaged }: CopyReach): Picture | undefined {
  const spans = timelines.flatMap(({ timeline, times, isDefault }) =>
    times.map(({ from, to }): ReportSpan => ({
      ...{ lane: laneOf(timeline), from, to },
      label: isDefault ? 'reachable' : `reachable with --timeline ${timeline}`,
      tone: isDefault ? 'good' : 'work',
    })),
  );
  const events: ReportEvent[] = [
    ...bases.slice(-MOST_NAMED).map(({ timeline, at, kind, unusable }): ReportEvent => ({
      ...{ lane: laneOf(timeline), at },
      what: unusable === undefined ? kind : `${kind}: no use`,
      tone: unusable === undefined ? 'mark' : 'bad',
    })),
    ...holes.flatMap(({ timeline, after }): ReportEvent[] =>
      after === undefined ? [] : [{ lane: laneOf(timeline), at: after, what: 'hole in the WAL', tone: 'bad' }],
    ),
    ...damaged.flatMap(({ point }): ReportEvent[] => {
      const at = madeAt(point);
      return at === undefined ? [] : [{ lane: 'damaged', at, what: point, tone: 'bad' }];
    }),
  ];
  const times = [...spans.flatMap(({ from, to }) => [from, to]), ...events.map(({ at }) => at)].sort();
  const [startedAt, finishedAt] = [times[0], times.at(-1)];
  if (startedAt === undefined || finishedAt === undefined) return undefined;
  return { spans, events, series: [], startedAt, finishedAt, axis: 'clock' };
}

function laneOf(timeline: number): string {
  return `timeline ${timeline}`;
}

/** A point's name begins with when its run began. */
function madeAt(point: string): string | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(point);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
}
