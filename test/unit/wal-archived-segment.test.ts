import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { Origin } from '../../activities/sources/postgres/wal/archive/origin.ts';
import { storeSegment } from '../../activities/sources/postgres/wal/archive/store-segment.ts';
import type { WalPiece, WalVault } from '../../activities/sources/source.ts';
import { parseLsn, segmentName } from '../../workflows/model/lsn.ts';
import { holeOf } from '../../workflows/model/wal-hole.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { cutAt, PAGE } from '../support/wal-pages.ts';

const START = '0/2000000';
const HOLE = { systemId: '7', timeline: 1, from: START, to: '0/2000040' };
const segmentBytes = 2 * PAGE;

interface Stored {
  /** What the vault says of the segment in front. */
  before: Buffer[];
  /** What stands beside the file. */
  beside?: { name: string; bytes: Buffer };
  passes?: true;
}

/** Stores a segment of two pages; gives what was put, and the failure. */
async function stored({ before, beside, passes }: Stored): Promise<{ put: string[]; error: unknown }> {
  const start = parseLsn(START);
  const put: string[] = [];
  const object = {
    ...{ key: 'k', systemId: '7', timeline: 1, storedBytes: 1 },
    ...{ startLsn: '0/1FFE000', endLsn: START },
  };
  const vault = {
    list: () => Promise.resolve(before.map(() => object)),
    read: () => Promise.resolve(before[0]),
    put: ({ startLsn }: WalPiece) => Promise.resolve((put.push(startLsn), 'stored')),
  } as unknown as WalVault;
  const identity = {
    ...{ kind: 'postgres', systemId: '7', serverVersion: 180004, timeline: 1 },
    ...{ segmentBytes, sizeBytes: 1 },
  };
  const origin = new Origin(() => Promise.reject(new Error('not asked')));
  const archive = { identity, origin, vault, run: plainRun(), passHole: passes ? HOLE : undefined };
  return withTempDir(async (dir) => {
    await mkdir(join(dir, 'pg_wal'));
    if (beside) await writeFile(join(dir, 'pg_wal', beside.name), beside.bytes);
    const bytes = Buffer.concat([cutAt(start).second, Buffer.alloc(PAGE)]);
    const path = join(dir, 'pg_wal', 'any');
    const error: unknown = await storeSegment(archive, { timeline: 1, start, bytes, path }).catch((e: unknown) => e);
    return { put, error };
  });
}

test('an archived segment whose beginning ends the record of wal_level = minimal is a hole up to where it is over', async () => {
  const { first } = cutAt(parseLsn(START));
  const other = Buffer.from(first);
  other.writeBigUInt64LE(1n, 8);
  const name = segmentName(1, parseLsn(START) - 1n, segmentBytes);
  const cases: [string, Stored][] = [
    ['it stands in the vault', { before: [first] }],
    ['it stands beside the file', { before: [], beside: { name, bytes: Buffer.concat([Buffer.alloc(PAGE), first]) } }],
    [
      'the file beside it is another by now',
      { before: [first], beside: { name, bytes: Buffer.concat([first, other]) } },
    ],
  ];
  for (const [what, at] of cases) {
    const refused = await stored(at);
    assert.deepEqual(holeOf(refused.error), HOLE, what);
    assert.deepEqual(refused.put, ['0/2000040'], what);
    assert.deepEqual(await stored({ ...at, passes: true }), { put: ['0/2000040'], error: undefined }, what);
  }
  // Nobody knows what began there.
  assert.deepEqual(await stored({ before: [] }), { put: [START], error: undefined });
});
