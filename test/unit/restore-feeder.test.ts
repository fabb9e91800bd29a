import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { whileFeeding } from '../../activities/sources/postgres/recovery/feeder.ts';
import { placeOf } from '../../activities/sources/postgres/recovery/place.ts';
import type { WalVault } from '../../activities/sources/source.ts';
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

test('nothing is fed any more once the work is over: what is under way is waited for, and written nowhere', async () => {
  await withTempDir(async (dir) => {
    const plan = await planFor(dir, { point: samplePoint(), settings: {} }, { target: { kind: 'latest' } });
    const place = placeOf(plan);
    for (const folder of [place.ready, place.want, place.absent]) await mkdir(folder, { recursive: true });
    const { wal, asked, release } = slowVault();
    const ran = plainRun();
    const fed = whileFeeding(
      { place, host: { binaries: '' }, wal, run: ran, systemId: '7', segmentBytes: SEGMENT_BYTES },
      async () => {
        await writeFile(join(place.want, NAME), '');
        await asked;
      },
    );
    await asked;
    let over = false;
    void fed.then(() => (over = true));
    // As many turns as a feeder takes that looks for work every few milliseconds.
    for (let turn = 0; turn < 5; turn++) await ran.clock.sleep(10);
    assert.equal(over, false, 'the call ended while a segment was on its way');
    release();
    await fed;
    assert.deepEqual(await readdir(place.spool), ['absent', 'ready', 'want']);
    assert.deepEqual(await readdir(place.ready), []);
    assert.equal(existsSync(join(place.absent, NAME)), false, 'what was not asked for to the end is not absent');
  });
});
