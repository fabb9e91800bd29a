import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WalVault } from '../../activities/sources/source.ts';
import { checkHistories } from '../../activities/sources/postgres/wal/verify/histories.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import type { WalObject } from '../../workflows/model/wal.ts';

const SEGMENT_BYTES = 2 ** 20;

interface Stored {
  /** Lines of history files. */
  histories: Record<number, string | Error>;
  /** Of timeline, from, to, and the byte that all of it is; an error when it cannot be read. */
  wal?: [timeline: number, from: string, to: string, fill: number | Error][];
  /** Timelines of recovery points. */
  timelines?: number[];
}

async function faultsOf({ histories, wal = [], timelines = [] }: Stored): Promise<string[]> {
  const objects = wal.map(([timeline, startLsn, endLsn]): WalObject => {
    const key = `shop/wal/7/0000000${timeline}/${startLsn}`;
    return { systemId: '7', timeline, startLsn, endLsn, key, storedBytes: 1 };
  });
  const vault: Pick<WalVault, 'readHistory' | 'read'> = {
    readHistory: async (_system, timeline) => {
      const found = histories[timeline];
      if (found instanceof Error) throw found;
      return found === undefined ? undefined : Buffer.from(found);
    },
    read: async (object) => {
      const [, from, to, fill] = wal[objects.findIndex(({ key }) => key === object.key)] ?? assert.fail();
      if (fill instanceof Error) throw fill;
      return Buffer.alloc(lsnDistanceBytes(from, to), fill);
    },
  };
  const check = { systemId: '7', segmentBytes: SEGMENT_BYTES, objects, timelines };
  const { faults } = await checkHistories(vault as WalVault, check);
  return faults.map(({ timeline, what, found }) => `${timeline}: ${what}: ${found}`);
}

const SECOND = '1\t0/580000\tpromoted\n';
const THIRD = `${SECOND}2\t0/880000\tpromoted\n`;
const BOTH = { 2: SECOND, 3: THIRD };
const BAD = failure('Integrity', 'cipher is wrong');

const CASES: Record<string, [stored: Stored, says: RegExp[]]> = {
  'all is there': [{ histories: BOTH, timelines: [3] }, []],
  'of the first timeline there is none': [{ histories: {}, wal: [[1, '0/500000', '0/600000', 1]] }, []],
  'one that a point stands on is missing': [{ histories: {}, timelines: [2] }, [/^2: .* is not in the vault/]],
  'one that WAL is of is missing': [{ histories: {}, wal: [[2, '0/500000', '0/600000', 1]] }, [/^2: .* is not in/]],
  'one that another names is missing': [{ histories: { 3: THIRD }, timelines: [3] }, [/^2: .* is not in the vault/]],
  'one cannot be read': [{ histories: { 2: BAD }, timelines: [2] }, [/^2: cipher is wrong/]],
  'one has a line that is none': [{ histories: { 2: 'what\n' }, timelines: [2] }, [/^2: .* a line that is none/]],
  'one says nothing': [{ histories: { 2: '' }, timelines: [2] }, [/^2: timeline history: none/]],
  'positions descend': [
    { histories: { 2: SECOND, 3: '1\t0/580000\t\n2\t0/480000\t\n' }, timelines: [3] },
    [/^3: timeline history: 1 left at 0\/580000, 2 left at 0\/480000/],
  ],
  'it comes from itself': [
    { histories: { 2: '2\t0/580000\t\n' }, timelines: [2] },
    [/^2: timeline history: 2 left/, /^2: .*disagrees/],
  ],
  'two of them disagree': [
    { histories: { 2: '1\t0/480000\t\n', 3: THIRD }, timelines: [3] },
    [/^3: .*disagrees with that of timeline 2: 1 left at 0\/480000/],
  ],
  'a timeline begins in the segment in which its parent was left': [
    { histories: BOTH, wal: [[1, '0/500000', '0/580000', 1], [2, '0/500000', '0/600000', 1]] }, // prettier-ignore
    [],
  ],
  'it begins before that': [
    { histories: BOTH, wal: [[2, '0/400000', '0/600000', 1]] },
    [/^2: timeline: begins before its fork: WAL from 0\/400000 on/],
  ],
  'its beginning is other than its parent': [
    { histories: BOTH, wal: [[1, '0/500000', '0/600000', 1], [2, '0/500000', '0/600000', 2]] }, // prettier-ignore
    [/^2: timeline: its beginning is not what its parent holds/],
  ],
  'a parent in pieces': [
    { histories: BOTH, wal: [[1, '0/400000', '0/540000', 1], [1, '0/540000', '0/580000', 2], [2, '0/500000', '0/600000', 1]] }, // prettier-ignore
    [/^2: .*not what its parent holds/],
  ],
  'of its parent is not all there': [
    { histories: BOTH, wal: [[1, '0/500000', '0/540000', 1], [2, '0/500000', '0/600000', 2]] }, // prettier-ignore
    [],
  ],
  'what cannot be read is told elsewhere': [
    { histories: BOTH, wal: [[1, '0/500000', '0/600000', BAD], [2, '0/500000', '0/600000', 2]] }, // prettier-ignore
    [],
  ],
};

test('what history files say, and what does not agree with them or with the WAL', async () => {
  for (const [name, [stored, says]] of Object.entries(CASES)) {
    const faults = await faultsOf(stored);
    assert.equal(faults.length, says.length, `${name}: ${faults.join('; ')}`);
    for (const [index, wanted] of says.entries()) assert.match(faults[index] ?? '', wanted, name);
  }
});

test('what could not be asked is no fault', async () => {
  const away = failure('Unavailable', 'store is away');
  const isAway = (error: unknown): boolean => failureTypeOf(error) === 'Unavailable';
  await assert.rejects(faultsOf({ histories: { 2: away }, timelines: [2] }), isAway);
  const wal: Stored['wal'] = [[1, '0/500000', '0/600000', away], [2, '0/500000', '0/600000', 2]]; // prettier-ignore
  await assert.rejects(faultsOf({ histories: BOTH, wal }), isAway);
});
