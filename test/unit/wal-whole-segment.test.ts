import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { segmentUpToEnd } from '../../activities/sources/postgres/wal/whole-segment.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn, lsnDistanceBytes, parseLsn } from '../../workflows/model/lsn.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';

const SEGMENT = 1 << 20;
/** The segment that is wanted begins here. */
const START = 4 * SEGMENT;

type Piece = [timeline: number, from: number, to: number];

/** Places count from the segment's beginning; `late` pieces come with the given list. */
function vaultOf(pieces: Piece[], forks: Piece[], late: { from: number; pieces: Piece[] }): WalVault {
  const objectOf = ([timeline, from, to]: Piece): WalObject => {
    const [startLsn, endLsn] = [formatLsn(BigInt(START + from)), formatLsn(BigInt(START + to))];
    return { systemId: '1', timeline, startLsn, endLsn, key: `${timeline}/${startLsn}`, storedBytes: 1 };
  };
  let lists = 0;
  const vault: Partial<WalVault> = {
    list: async ({ timeline, fromLsn = '0/0', toLsn }) =>
      (++lists >= late.from ? [...pieces, ...late.pieces] : pieces)
        .map(objectOf)
        .filter(
          (each) =>
            each.timeline === timeline &&
            parseLsn(each.endLsn) > parseLsn(fromLsn) &&
            (toLsn === undefined || parseLsn(each.startLsn) < parseLsn(toLsn)),
        )
        .toSorted((a, b) => Number(parseLsn(a.startLsn) - parseLsn(b.startLsn))),
    read: async ({ startLsn, endLsn }) => Buffer.alloc(lsnDistanceBytes(startLsn, endLsn), 1),
    histories: async () =>
      forks.map(([timeline, at, parent]): TimelineHistory => ({
        timeline,
        ancestors: [{ timeline: parent, switchLsn: formatLsn(BigInt(START + at)), reason: '' }],
      })),
  };
  return vault as WalVault;
}

interface Case {
  says: string;
  timeline?: number;
  pieces: Piece[];
  /** Timeline, where it left its parent, parent. */
  forks?: Piece[];
  late?: { from: number; pieces: Piece[] };
  /** Bytes that are known; a hole is refused. */
  known: number | 'nothing' | 'hole';
}

const CASES: Case[] = [
  { says: 'whole', pieces: [[1, 0, SEGMENT]], known: SEGMENT },
  { says: 'nothing of it, and nothing behind', pieces: [[1, -SEGMENT, 0]], known: 'nothing' },
  { says: 'the end of the WAL', pieces: [[1, 0, 500]], known: 500 },
  { says: 'nothing of it, and a later segment', pieces: [[1, SEGMENT, 2 * SEGMENT]], known: 'hole' },
  { says: 'its end is missing', pieces: [[1, 0, 500], [1, SEGMENT, 2 * SEGMENT]], known: 'hole' }, // prettier-ignore
  { says: 'its middle is missing', pieces: [[1, 0, 500], [1, 600, 700]], known: 'hole' }, // prettier-ignore
  { says: 'its beginning is missing', pieces: [[1, 500, SEGMENT]], known: 'hole' },
  {
    says: 'it grew between two looks',
    pieces: [[1, 0, 500]],
    late: { from: 2, pieces: [[1, 500, SEGMENT], [1, SEGMENT, SEGMENT + 9]] }, // prettier-ignore
    known: SEGMENT,
  },
  {
    says: 'it came while it was waited for',
    pieces: [[1, 0, 500], [1, SEGMENT, 2 * SEGMENT]], // prettier-ignore
    late: { from: 5, pieces: [[1, 500, SEGMENT]] },
    known: SEGMENT,
  },
  {
    says: 'what the old timeline has behind the fork in this segment',
    pieces: [[1, 0, 500], [1, 600, 700], [1, SEGMENT, 2 * SEGMENT]], // prettier-ignore
    forks: [[2, 500, 1]],
    known: 500,
  },
  {
    says: 'what is missing in front of the fork',
    pieces: [[1, 0, 300], [1, 400, 700]], // prettier-ignore
    forks: [[2, 500, 1]],
    known: 'hole',
  },
  {
    says: 'a fork in a later segment says nothing of this one',
    pieces: [[1, SEGMENT, 2 * SEGMENT]],
    forks: [[2, SEGMENT + 500, 1]],
    known: 'hole',
  },
  {
    says: 'a timeline that begins later',
    timeline: 2,
    pieces: [[2, SEGMENT, 2 * SEGMENT]],
    forks: [[2, SEGMENT + 500, 1]],
    known: 'nothing',
  },
];

test('WAL that is missing in front of later WAL is no end of WAL', async () => {
  for (const { says, timeline = 1, pieces, forks = [], late = { from: Infinity, pieces: [] }, known } of CASES) {
    const wanted = { cluster: { systemId: '1', segmentBytes: SEGMENT }, place: { timeline, start: BigInt(START) } };
    const isAwaited = says.includes('waited');
    const found = segmentUpToEnd(
      vaultOf(pieces, forks, late),
      { ...wanted, waitMs: isAwaited ? 600_000 : 0 },
      plainRun(),
    );
    const came = await found.then(
      (segment) => segment?.knownBytes ?? ('nothing' as const),
      (error: unknown) => {
        assert.equal(failureTypeOf(error), 'Integrity', says);
        return 'hole' as const;
      },
    );
    assert.equal(came, known, says);
  }
});
