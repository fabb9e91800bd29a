import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import { loadKeyRing, newKeysIn, openVault } from '../../activities/vault/index.ts';
import type { UseNote, Vault } from '../../activities/vault/vault.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RetentionPreview, RetentionResult } from '../../workflows/model/retention-result.ts';
import type { WalVerified } from '../../workflows/model/wal-verify.ts';
import type { SourcePoints, VerifyResult, WalAnswer } from '../../workflows/model/results.ts';
import type { Expected } from '../support/bad-input.ts';
import { assertRefused, contentsOf } from '../support/bad-input.ts';
import { realTimeHost } from '../support/cli-world.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import { keysOf } from '../support/system-vault.ts';

async function answer<T>(world: Lifeboat, name: string, words: string[]): Promise<T> {
  const said = await world.cli([...words, '--json']);
  assert.equal(said.code, 0, said.err + JSON.stringify(said.json));
  return said.json[name] as T;
}

async function preview(world: Lifeboat): Promise<RetentionPreview> {
  const result = await answer<RetentionResult>(world, 'retention', ['retention', 'shop', '--dry-run']);
  assert.ok(result.dryRun);
  return result.preview;
}

async function retention(world: Lifeboat): Promise<string[]> {
  const result = await answer<RetentionResult>(world, 'retention', ['retention', 'shop']);
  assert.ok(!result.dryRun);
  assert.deepEqual([...result.points.refused, ...result.wal.refused], []);
  return result.points.points;
}

async function listed(world: Lifeboat): Promise<string[]> {
  const [shop] = await answer<SourcePoints[]>(world, 'sources', ['list', 'shop']);
  return shop?.points.map(({ point }) => point) ?? [];
}

async function withVault<T>({ dir, vault }: Lifeboat, work: (vault: Vault) => Promise<T>): Promise<T> {
  const { root, signing } = newKeysIn(join(dir, 'keys'));
  const keys = await loadKeyRing({ root, signing, trusted: [] });
  await using store = await filesystemStore.open({ path: vault }, plainRun());
  const options = { source: 'shop', keys, compressionLevel: 3, partBytes: 1 << 20, parallel: 2, tool: 'test' };
  await using opened = await openVault(store, options, plainRun());
  return await work(opened);
}

const use = (world: Lifeboat, note: UseNote): Promise<void> =>
  withVault(world, (vault) => vault.uses.put('restore-deadbeef-1', note));

/** Bytes of a manifest that nobody can read, for as long as the work lasts. */
async function withDamage(file: string, work: () => Promise<void>): Promise<void> {
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, -9));
  await work();
  await writeFile(file, bytes);
}

const WRONG = { at: '2026-01-05T04:00:00.000Z', reason: 'record checksum' };

const points = (world: Lifeboat): string => join(world.vault, 'shop', 'points');

test('retention: what goes, what stays, and that what stays is good', async (t) => {
  await withLifeboat(async (world) => {
    const rules = 'retention: { window: 0s, fulls: 1 }';
    await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', [rules]), world.source('bare')].join('\n')); // prettier-ignore
    await world.server.sql('create table orders (id int)');
    await world.startWorker();
    const taken: PointSummary[] = [];
    for (const id of [1, 2, 3]) {
      await world.server.sql(`insert into orders values (${id})`);
      taken.push(await answer<PointSummary>(world, 'point', ['backup', 'shop']));
      await world.server.sql('select pg_switch_wal()');
    }
    const [first, second, third] = taken as [PointSummary, PointSummary, PointSummary];

    await t.test('what cannot be is refused with one message, and touches no point', async () => {
      const [absent] = ['20200101T000000Z-1a2b3c4d-1'];
      const none = { expected: /published/, found: absent, next: 'lifeboat list shop' };
      const before = await contentsOf(points(world));
      const rows: (Expected & { words: string[] })[] = [
        {
          ...{ words: ['retention', 'bare'], type: 'Precondition' },
          ...{ message: /^source bare has no retention/, place: 'sources.bare.retention', expected: /window: 14d/ },
          ...{ found: /nothing is ever removed/, next: /--dry-run/ },
        },
        {
          ...{ words: ['hold', `shop/${absent}`, '--reason', 'case'], type: 'NotFound' },
          ...{ message: /does not exist/, place: 'source shop', ...none },
        },
        {
          ...{ words: ['release', `shop/${absent}`], type: 'NotFound' },
          ...{ message: /does not exist/, place: 'source shop', ...none },
        },
      ];
      for (const row of rows) await assertRefused((more) => world.cli([...row.words, ...more], realTimeHost()), row);
      assert.deepEqual(await contentsOf(points(world)), before);
      assert.equal((await world.cli(['hold', `shop/${first.point}`])).code, 2);
    });

    await t.test('a dry run says why, and touches nothing', async () => {
      await answer(world, 'hold', ['hold', first.point, '--reason', 'case 12']);
      const before = await contentsOf(points(world));
      const plan = await preview(world);
      assert.deepEqual(plan.remove.map(({ point }) => point), [second.point]); // prettier-ignore
      const why = new Map(plan.keep.map((each) => [each.point, each.why]));
      assert.deepEqual([...why.keys()], [first.point, third.point]);
      assert.deepEqual(why.get(first.point), ['held: case 12']);
      assert.ok(why.get(third.point)?.includes('the newest'));
      assert.deepEqual(await contentsOf(points(world)), before);
    });

    await t.test('a manifest that cannot be read: nothing is removed', async () => {
      await withDamage(join(points(world), second.point, 'manifest'), async () => {
        const before = await contentsOf(points(world));
        const said = await world.cli(['retention', 'shop', '--json']);
        assert.equal(said.code, 6, JSON.stringify(said.json));
        assert.match(String((said.json['error'] as { place: string }).place), new RegExp(second.point));
        assert.deepEqual(await contentsOf(points(world)), before);
      });
    });

    await t.test('a point that is being read stays, until its reader is over', async () => {
      // The stream is a run that goes on; the backup is over.
      await use(world, { workflowId: 'wal/shop', runId: '', points: [second.point], wal: true });
      assert.deepEqual((await preview(world)).remove, []);
      assert.deepEqual(await retention(world), []);
      await use(world, { workflowId: 'backup/shop', runId: '', points: [second.point], wal: true });
      assert.deepEqual(await retention(world), [second.point]);
    });

    await t.test(
      'what is left: the notice of what is gone, the WAL that is needed, and points that are whole',
      async () => {
        assert.deepEqual(await listed(world), [first.point, third.point]);
        const left = await keysOf(world.vault, `shop/points/${second.point}`);
        assert.deepEqual(left, [`shop/points/${second.point}/manifest`]);
        const { ranges } = await answer<WalAnswer>(world, 'wal', ['wal', 'shop']);
        const covers = ({ startLsn, stopLsn }: PointSummary): boolean =>
          ranges.some((range) => compareLsn(range.startLsn, startLsn) <= 0 && compareLsn(range.endLsn, stopLsn) >= 0);
        assert.deepEqual([first, second, third].map(covers), [true, false, true]);
        for (const { point } of [first, third]) {
          await withVault(world, (vault) => vault.noteChecked(point, { wrong: WRONG, wrongWal: WRONG }));
          const verified = await answer<VerifyResult>(world, 'verified', ['verify', `shop/${point}`]);
          assert.ok(verified.checks.every(({ ok }) => ok));
        }
        const marks = await withVault(world, (vault) => vault.marks(third.point));
        assert.ok(marks.verifiedAt !== undefined && marks.provenAt === undefined);
        assert.deepEqual([marks.wrong, marks.wrongWal], [undefined, WRONG], 'no record of its WAL was followed');
        const { holes } = await answer<WalVerified>(world, 'verified', ['wal', 'verify', 'shop']);
        assert.ok(holes.length > 0 && holes.every(({ until }) => until === third.stoppedAt));
        for (const { point } of [first, third])
          assert.equal((await withVault(world, (vault) => vault.marks(point))).wrongWal, undefined);
      },
    );

    await t.test('the newest is restored, and is known as proven; a released point goes', async () => {
      await withVault(world, (vault) => vault.noteChecked(third.point, { wrongWal: WRONG }));
      const restored = await answer<RestoreResult>(world, 'result', ['restore', 'shop']);
      assert.equal(restored.plan.base.point, third.point);
      assert.ok(restored.proof.ok);
      const marks = await withVault(world, (vault) => vault.marks(third.point));
      assert.ok(marks.provenAt !== undefined && marks.wrongWal === undefined);
      assert.deepEqual(await keysOf(world.vault, 'shop/use'), []);
      await answer(world, 'hold', ['release', `shop/${first.point}`]);
      assert.deepEqual(await retention(world), [first.point]);
      assert.deepEqual(await listed(world), [third.point]);
      const { ranges } = await answer<WalAnswer>(world, 'wal', ['wal', 'shop']);
      assert.equal(ranges.length, 1);
      assert.deepEqual(await retention(world), []);
    });
  });
});
