import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Config } from '../../activities/config/index.ts';
import type { Activities } from '../../activities/index.ts';
import { createActivities } from '../../activities/index.ts';
import { plainRun } from '../../activities/io/run.ts';
import { findStore } from '../../activities/stores/index.ts';
import type { PointsRemoved, RetentionPreview, WalRemoved } from '../../workflows/model/retention-result.ts';
import type { ExtractPlan, ExtractResult } from '../../workflows/model/contents.ts';
import type { Fate, HttpProxy, Seen } from '../support/http-proxy.ts';
import { startHttpProxy } from '../support/http-proxy.ts';
import { s3Missing, startS3 } from '../support/s3.ts';
import { s3Options } from '../support/store-places.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { heldThreads, makePoint, testVault } from '../support/vault.ts';

heldThreads();

const POINTS = [5, 6, 7, 8].map((day) => `2026010${day}T030004Z-1a2b3c4d-1`) as [string, string, string, string];
const [LOCKED, SIGNED, GONE, NEWEST] = POINTS;
const SYSTEM = '7312345678901234567';
const LOCK: Fate = {
  ...{ kind: 'answer', status: 403, headers: { 'content-type': 'application/xml' } },
  body: '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>the object is locked</Message></Error>',
};

function configOf(store: Config['stores'][string]): Config {
  const shop: Config['sources'][string] = {
    ...{ kind: 'postgres', store: 'bucket', options: { connection: { host: 'db', user: 'lifeboat' } } },
    backup: { level: 3, checkpoint: 'fast', partBytes: 1 << 20, parallel: 2, chainLimit: 14 },
    wal: {
      ...{ slot: 'lifeboat_shop', shipEveryMs: 500, synchronous: false, heartbeatEveryMs: 0 },
      ...{ spoolBytes: 1 << 20, newBaseAfterHole: true },
    },
    retention: { windowMs: 0, fulls: 1, daily: 0, weekly: 0, monthly: 0, quarterly: 0, annual: 0 },
    ...{ schedule: {}, objectives: {}, notify: [] },
  };
  return {
    ...{ path: 'lifeboat.yml', name: 'test', temporal: { address: '', namespace: '' } },
    ...{ keys: { root: { file: '' }, signing: { file: '' }, trusted: [] }, stores: { bucket: store } },
    ...{ notifiers: {}, switches: {}, services: {}, sources: { shop } },
  };
}

interface Bucket {
  at: TestVault;
  proxy: HttpProxy;
  act<Result>(name: keyof Activities, given: object): Promise<Result>;
}

/** Points and WAL in a bucket of a real S3 server, which is reached through the proxy. */
async function withBucket(callback: (bucket: Bucket) => Promise<void>): Promise<void> {
  await using s3 = await startS3();
  await using proxy = await startHttpProxy(s3.port);
  const options = { bucket: await s3.createBucket(), ...s3Options(proxy.origin, s3.root) };
  await withTempDir(async (dir) => {
    const made = await testVault(dir);
    await using store = await findStore('s3').open(options, plainRun());
    const at = { ...made, store, open: (other = store, overrides = {}) => made.open(other, overrides) };
    const { clock, log } = plainRun();
    const activities = createActivities({
      ...{ config: configOf({ kind: 's3', options }), host: 'db1', tool: 'test', clock, log, searchAttributes: false },
      loadKeys: () => Promise.resolve(made.keys),
    });
    for (const [night, point] of POINTS.entries())
      await makePoint(at, { point, stoppedAt: `2026-01-0${5 + night}T03:00:05.000Z` });
    const act: Bucket['act'] = (name, given) =>
      new MockActivityEnvironment().run(activities[name] as unknown as (given: object) => Promise<never>, given);
    await callback({ at, proxy, act });
  });
}

test(
  'a bucket that refuses to delete or replace: told by name, everything else goes',
  { skip: s3Missing() ?? false },
  () =>
    withBucket(async ({ at, proxy, act }) => {
      await using vault = await at.open();
      for (const startLsn of ['0/1000000', '0/1001000'])
        await vault.wal.put({ systemId: SYSTEM, timeline: 1, startLsn }, Buffer.alloc(4096));
      const [walLocked, walGone] = await vault.wal.list({ systemId: SYSTEM });
      assert.ok(walLocked && walGone);
      proxy.fate = ({ method, url }: Seen) => {
        const isLocked = url.includes(`${LOCKED}/p000002`) || url.includes(walLocked.key);
        if (method === 'DELETE' && isLocked) return LOCK;
        return method === 'PUT' && url.includes(`${SIGNED}/manifest`) ? LOCK : undefined;
      };
      const { remove } = await act<RetentionPreview>('planRetention', { source: 'shop' });
      assert.deepEqual(remove.map(({ point }) => point), [LOCKED, SIGNED, GONE]); // prettier-ignore

      const points = await act<PointsRemoved>('removePoints', { source: 'shop' });
      assert.deepEqual([points.points, points.swept], [[LOCKED, GONE], 1]);
      assert.deepEqual(points.refused.map(({ place }) => place).sort(), [LOCKED, SIGNED]); // prettier-ignore
      for (const { reason } of points.refused) assert.match(reason, /DeleteObject on this bucket/);
      const published = async (): Promise<string[]> => (await vault.points()).points.map(({ point }) => point);
      assert.deepEqual(await published(), [SIGNED, NEWEST]);

      const wal = await act<WalRemoved>('removeWal', { source: 'shop' });
      assert.deepEqual([wal.objects, wal.refused.map(({ place }) => place)], [1, [walLocked.key]]);
      assert.deepEqual(await vault.wal.list({ systemId: SYSTEM }), [walLocked]);

      // The lock is over: what is left goes.
      proxy.fate = () => undefined;
      const rest = await act<PointsRemoved>('removePoints', { source: 'shop' });
      assert.deepEqual([rest.points, rest.swept, rest.refused], [[SIGNED], 2, []]);
      const left = await act<WalRemoved>('removeWal', { source: 'shop' });
      assert.deepEqual([left.objects, left.refused], [1, []]);
      assert.deepEqual(await published(), [NEWEST]);
      await vault.verify(NEWEST, () => undefined);
    }),
);

test(
  'an extraction says what it reads: that stays until it has ended, whatever retention wants; a refused one says nothing',
  {
    skip: s3Missing() ?? false,
  },
  () =>
    withBucket(async ({ at, proxy, act }) => {
      await using vault = await at.open();
      const noted = async (): Promise<unknown[]> => (await vault.uses.list()).map(({ note }) => note.points);
      await withTempDir(async (dir) => {
        const order = { run: 'run-1', source: 'shop', point: GONE, to: join(dir, 'out') };
        const refused = act<never>('planExtract', { ...order, file: 'base/1/2' });
        await assert.rejects(refused, /is not in/);
        assert.deepEqual(await noted(), []);
        const plan = await act<ExtractPlan>('planExtract', { ...order, file: 'base/1/1' });
        assert.deepEqual(await noted(), [[GONE]]);
        const { points } = await act<PointsRemoved>('removePoints', { source: 'shop' });
        assert.deepEqual(points, [LOCKED, SIGNED]);
        const { bytes } = await act<ExtractResult>('extractFiles', plan);
        assert.equal((await readFile(plan.to)).length, bytes);
        // A store that refuses to delete keeps no extraction from its end.
        proxy.fate = ({ method, url }: Seen) => (method === 'DELETE' && url.includes('/use/') ? LOCK : undefined);
        await act<void>('discardExtract', plan);
        assert.deepEqual(await noted(), [[GONE]]);
        proxy.fate = () => undefined;
        await act<void>('discardExtract', plan);
        assert.deepEqual(await noted(), []);
        const after = await act<PointsRemoved>('removePoints', { source: 'shop' });
        assert.deepEqual(after.points, [GONE]);
      });
    }),
);
