import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { PointMarks, PointUse, RetentionFacts } from '../../workflows/model/retention.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import { randomOf } from '../soak/random.ts';
import type { Random } from '../soak/random.ts';
import { samplePoint } from './sample-report.ts';

/** Bytes of a segment: positions are small numbers, and each is written in one hour and ends with a commit. */
export const SEGMENT = 16;
export const HOUR_MICROS = 3_600_000_000;
const EPOCH_MICROS = Date.UTC(2026, 0, 1) * 1000;
const SYSTEM = '7312345678901234567';

interface Timeline {
  number: number;
  /** Where it left its parent, and where writing on it ended. */
  begins: number;
  ends: number;
}

/** A vault as it could be, and what is behind it: which byte of which timeline was committed when. */
export interface GeneratedVault extends RetentionFacts {
  timelines: Timeline[];
  commitMicros(timeline: number, lsn: number): number;
}

export function lsnOf(position: number): string {
  return formatLsn(BigInt(position));
}

export function positionOf(lsn: string): number {
  return Number(parseLsn(lsn));
}

export function segmentOf(position: number): number {
  return position - (position % SEGMENT);
}

export function iso(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

/** The same seed gives the same vault. */
export function generatedVault(seed: number): GeneratedVault {
  const random = randomOf(seed);
  const timelines = timelinesFor(random);
  const commitMicros = (timeline: number, lsn: number): number => {
    const at = timelines[timeline - 1] as Timeline;
    if (timeline > 1 && lsn < at.begins) return commitMicros(timeline - 1, lsn);
    // What was written on the older timelines beyond the switch took its time, too.
    const lost = timelines.slice(0, timeline - 1).reduce((sum, each, index) => {
      return sum + each.ends - (timelines[index + 1] as Timeline).begins + 1;
    }, 0);
    return EPOCH_MICROS + (lsn + lost) * HOUR_MICROS;
  };
  const made = { random, timelines, commitMicros };
  const points = pointsFor(made);
  const last = timelines.at(-1) as Timeline;
  return {
    ...{ timelines, commitMicros, points },
    policy: {
      windowMs: random.between(0, 14) * 86_400_000,
      fulls: random.between(1, 3),
      ...{ daily: random.between(0, 4), weekly: random.between(0, 2), monthly: random.between(0, 1) },
      ...{ quarterly: 0, annual: random.between(0, 1) },
    },
    nowMicros: commitMicros(last.number, last.ends) + random.between(0, 60) * HOUR_MICROS,
    objects: timelines.flatMap((timeline) => objectsFor(made, timeline)),
    histories: timelines.slice(1).map((timeline) => historyFor(timelines, timeline)),
    marks: new Map(points.map((point) => [point.point, marksFor(random)])),
    uses: points.flatMap(({ point }): PointUse[] =>
      random.chance(4) ? [{ points: [point], wal: random.chance(50), by: 'restore/shop' }] : [],
    ),
  };
}

interface Made {
  random: Random;
  timelines: Timeline[];
  commitMicros(timeline: number, lsn: number): number;
}

function timelinesFor(random: Random): Timeline[] {
  const count = random.weighted([1, 2, 3], (each) => 4 - each);
  const timelines: Timeline[] = [];
  let begins = SEGMENT;
  for (let number = 1; number <= count; number++) {
    const ends = begins + random.between(30, 400);
    timelines.push({ number, begins, ends });
    begins = ends - random.between(0, 24);
  }
  return timelines;
}

function historyFor(timelines: Timeline[], { number }: Timeline): TimelineHistory {
  const ancestors = timelines.slice(0, number - 1).map((each, index) => ({
    timeline: each.number,
    switchLsn: lsnOf((timelines[index + 1] as Timeline).begins),
    reason: 'no recovery target specified',
  }));
  return { timeline: number, ancestors };
}

/** Pieces of any length, now and then twice, now and then one missing. */
function objectsFor({ random, commitMicros }: Made, { number, begins, ends }: Timeline): WalObject[] {
  const objects: WalObject[] = [];
  let at = segmentOf(begins);
  while (at < ends) {
    const end = Math.min(ends, at + random.between(1, SEGMENT));
    const object = objectOf(number, [at, end], commitMicros(number, end - 1));
    if (!random.chance(2)) objects.push(object);
    if (random.chance(5)) objects.push(objectOf(number, [at, end], commitMicros(number, end - 1)));
    if (random.chance(10) && end < ends) objects.push(objectOf(number, [end - 1, end + 1], commitMicros(number, end)));
    at = end;
  }
  return objects;
}

function objectOf(timeline: number, [start, end]: [number, number], lastCommitMicros: number): WalObject {
  const [startLsn, endLsn] = [lsnOf(start), lsnOf(end)];
  const key = `shop/wal/${SYSTEM}/${timeline}/${start}-${end}`;
  return { systemId: SYSTEM, timeline, startLsn, endLsn, lastCommitMicros, key, storedBytes: end - start };
}

function pointsFor({ random, timelines, commitMicros }: Made): PointSummary[] {
  const points: PointSummary[] = [];
  for (const { number, begins, ends } of timelines) {
    let start = begins + random.between(0, 20);
    while (start + 4 < ends) {
      const stop = start + random.between(0, 3);
      const at = commitMicros(number, stop);
      const parent = random.chance(55) ? parentFor(random, points) : undefined;
      points.push({
        ...samplePoint(),
        ...{ point: `${String(points.length).padStart(3, '0')}-${number}-${start}`, source: 'shop', systemId: SYSTEM },
        ...{ kind: parent === undefined ? 'full' : random.pick(['incremental', 'differential'] as const) },
        ...(parent === undefined ? {} : { parent }),
        ...{ timeline: number, segmentBytes: SEGMENT, startLsn: lsnOf(start), stopLsn: lsnOf(stop) },
        ...{ startedAt: iso(commitMicros(number, start)), stoppedAt: iso(at) },
        ...(random.chance(6) ? { damaged: { pages: 1, first: ['base/1/1 page 7'] } } : {}),
      });
      start = stop + random.between(3, 30);
    }
  }
  return points;
}

function parentFor(random: Random, points: readonly PointSummary[]): string | undefined {
  if (random.chance(2)) return 'removed-by-somebody';
  return random.chance(80) ? points.at(-1)?.point : points[random.between(0, Math.max(0, points.length - 1))]?.point;
}

function marksFor(random: Random): PointMarks {
  const at = iso(EPOCH_MICROS);
  return {
    ...(random.chance(3) ? { held: { reason: 'case 12', at } } : {}),
    ...(random.chance(15) ? { verifiedAt: at } : {}),
    ...(random.chance(8) ? { provenAt: at } : {}),
    ...(random.chance(5) ? { wrong: { at, reason: 'part 3 is damaged' } } : {}),
  };
}
