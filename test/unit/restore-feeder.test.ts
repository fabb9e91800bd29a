import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import type { FeederOptions } from '../../activities/sources/postgres/recovery/feeder.ts';
import { whileFeeding } from '../../activities/sources/postgres/recovery/feeder.ts';
import type { Place } from '../../activities/sources/postgres/recovery/place.ts';
import { placeOf } from '../../activities/sources/postgres/recovery/place.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failure } from '../../workflows/model/failure.ts';
import { planFor } from '../support/recovery.ts';
import { samplePoint } from '../support/sample-report.ts';
import { withTempDir } from '../support/temp-dir.ts';

const SEGMENT_BYTES = 1 << 20;
const NAME = '000000010000000000000001';
const OBJECT = {
  ...{ systemId: '7', timeline: 1, startLsn: '0/100000', endLsn: '0/200000', key: 'one', storedBytes: 1 },
};

/** A vault of one segment, which is given when `release` says so. */
function slowVault(): { wal: WalVault; asked: Promise<void>; release(): void } {
  const asked = Promise.withResolvers<void>();
  const given = Promise.withResolvers<Buffer>();
  const wal: Pick<WalVault, 'list' | 'read' | 'histories'> = {
    list: async () => [OBJECT],
    histories: async () => [],
    read: () => {
      asked.resolve();
      return given.promise;
    },
  };
  return { wal: wal as WalVault, asked: asked.promise, release: () => given.resolve(Buffer.alloc(SEGMENT_BYTES)) };
}

interface Feeding {
  place: Place;
  use: FeederOptions;
}

async function withFeeding(wal: WalVault, callback: (feeding: Feeding) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const plan = await planFor(dir, { point: samplePoint(), settings: {} }, { target: { kind: 'latest' } });
    const place = placeOf(plan);
    for (const folder of [place.ready, place.want, place.absent]) await mkdir(folder, { recursive: true });
    const host = { binaries: '' };
    const use = { place, host, wal, run: plainRun(), systemId: '7', segmentBytes: SEGMENT_BYTES };
    await callback({ place, use });
  });
}

test('nothing is fed any more once the work is over: what is under way is waited for, and written nowhere', async () => {
  const { wal, asked, release } = slowVault();
  await withFeeding(wal, async ({ place, use }) => {
    const fed = whileFeeding(use, async () => {
      await writeFile(join(place.want, NAME), '');
      await asked;
    });
    await asked;
    let over = false;
    void fed.then(() => (over = true));
    // As many turns as a feeder takes that looks for work every few milliseconds.
    for (let turn = 0; turn < 5; turn++) await use.run.clock.sleep(10);
    assert.equal(over, false, 'the call ended while a segment was on its way');
    release();
    await fed;
    assert.deepEqual(await readdir(place.spool), ['absent', 'ready', 'want']);
    assert.deepEqual(await readdir(place.ready), []);
    assert.equal(existsSync(join(place.absent, NAME)), false, 'what was not asked for to the end is not absent');
  });
});

const BEHIND = { ...OBJECT, startLsn: '0/200000', endLsn: '0/300000', key: 'two' };
const BEHIND_NAME = '000000010000000000000002';

test('a damaged neighbour keeps no segment from being given; asked for itself, it ends the recovery', async () => {
  // A short record that began in front of it goes on in it: what began there would say whether it makes a tablespace.
  const segment = Buffer.alloc(SEGMENT_BYTES);
  segment.writeUInt16LE(0xd118, 0);
  segment.writeUInt16LE(0x0003, 2);
  segment.writeBigUInt64LE(0x200000n, 8);
  segment.writeUInt32LE(48, 16);
  const asked: string[] = [];
  const wal: Pick<WalVault, 'list' | 'read' | 'histories'> = {
    list: async () => [OBJECT, BEHIND],
    histories: async () => [],
    read: async ({ key }) => {
      asked.push(key);
      if (key === BEHIND.key) return Buffer.from(segment);
      throw failure('Integrity', 'object one is damaged');
    },
  };
  await withFeeding(wal as WalVault, async ({ place, use }) => {
    const get = (name: string): Promise<void> =>
      whileFeeding(use, async (_, { clock, signal }) => {
        await writeFile(join(place.want, name), '');
        while (!existsSync(join(place.ready, name))) await clock.sleep(10, signal);
      });
    await get(BEHIND_NAME);
    assert.deepEqual(asked, [BEHIND.key, OBJECT.key]);
    assert.ok((await readFile(join(place.ready, BEHIND_NAME))).equals(segment));
    await assert.rejects(get(NAME), /object one is damaged/);
  });
});
