import assert from 'node:assert/strict';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { DoctorCheck, PointDetails, RestorePreview, VerifyResult } from '../../workflows/model/results.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, stopRestored, withLifeboat } from '../support/lifeboat.ts';
import { PROMISE, refuse } from '../support/refused.ts';

async function answer<T>(world: Lifeboat, name: string, words: string[]): Promise<T> {
  const said = await world.cli([...words, '--json']);
  assert.equal(said.code, 0, said.err);
  return said.json[name] as T;
}

const backup = (world: Lifeboat, ...more: string[]): Promise<PointSummary> =>
  answer<PointSummary>(world, 'point', ['backup', 'shop', ...more]);

const SCHEDULE = 'schedule: { incremental: { cron: "0 3 * * *" } }';

async function setSummaries(world: Lifeboat, on: 'on' | 'off'): Promise<void> {
  await world.server.sql(`alter system set summarize_wal = ${on}`);
  await world.server.sql('select pg_reload_conf()');
}

async function advice(world: Lifeboat): Promise<DoctorCheck | undefined> {
  const { json } = await world.cli(['doctor', '--json']);
  return (json['checks'] as DoctorCheck[]).find(({ name }) => name === 'source shop: incremental backups');
}

/** A full point and three that stand on it, one on the other; the last is differential. */
async function takeChain(world: Lifeboat): Promise<PointSummary[]> {
  const { server } = world;
  const full = await backup(world);
  await server.sql('insert into orders select generate_series(1, 5000)');
  const first = await backup(world, '--type', 'incremental');
  await server.sql('insert into orders select generate_series(5001, 5100)');
  const second = await backup(world, '--type', 'incremental');
  const apart = await backup(world, '--type', 'differential');
  const facts = [full, first, second, apart].map(({ kind, parent, fallback }) => ({ kind, parent, fallback }));
  const none = { fallback: undefined };
  assert.deepEqual(facts, [
    { kind: 'full', parent: undefined, ...none },
    { kind: 'incremental', parent: full.point, ...none },
    { kind: 'incremental', parent: first.point, ...none },
    { kind: 'differential', parent: full.point, ...none },
  ]);
  assert.ok(second.bytes < full.bytes / 4, `${second.bytes} bytes`);
  return [full, first, second, apart];
}

async function looksAt(world: Lifeboat, [full, first, second]: PointSummary[]): Promise<void> {
  assert.ok(full && first && second);
  const chain = [full, first, second].map(({ point }) => point);
  const list = await world.cli(['list', 'shop']);
  assert.match(list.out, new RegExp(`${second.point}  incremental .* ${first.point}\n`));
  const shown = await answer<PointDetails>(world, 'point', ['show', `shop/${second.point}`]);
  assert.deepEqual(shown.chain, chain);
  assert.ok(shown.windows.length > 0 && shown.windows.every(({ point }) => point === second.point));
  const verified = await answer<VerifyResult>(world, 'verified', ['verify', `shop/${second.point}`]);
  assert.equal(verified.parts, full.parts + first.parts + second.parts);
  assert.ok(verified.checks.some(({ name }) => name === 'every point that it stands on'));
}

async function restores(world: Lifeboat, [full, first, second]: PointSummary[]): Promise<void> {
  assert.ok(full && first && second);
  const words = ['restore', 'shop', '--point', second.point];
  const plan = await answer<RestorePreview['plan']>(world, 'plan', [...words, '--preview']);
  assert.deepEqual(plan.chain, [full.point, first.point, second.point]);
  assert.equal(plan.estimate.fetchBytes, full.bytes + first.bytes + second.bytes);
  const restored = await answer<RestoreResult>(world, 'result', [...words, '--into', join(world.scratch, 'latest')]);
  assert.equal(restored.proof.ok, true);
  assert.equal(restored.plan.base.point, second.point);
  // Between two links the older one is the base.
  const between = await answer<RestoreResult>(world, 'result', [
    ...['restore', 'shop', '--to-time', first.stoppedAt, '--into', join(world.scratch, 'between')],
  ]);
  assert.deepEqual(between.plan.chain, [full.point, first.point]);
  const drill = await world.cli(['drill', 'shop', '--json']);
  assert.equal(drill.code, 0, drill.err);
}

/** What another point stands on is damaged behind the product's back. */
async function breaks(world: Lifeboat, [, first, second, apart]: PointSummary[]): Promise<void> {
  assert.ok(first && second && apart);
  const folder = join(world.vault, 'shop/points', apart.point);
  const [part = ''] = (await readdir(folder)).filter((name) => name.startsWith('p'));
  await rename(join(folder, part), join(world.dir, part));
  const lost = await backup(world, '--type', 'incremental');
  assert.equal(lost.kind, 'full');
  assert.match(lost.fallback ?? '', new RegExp(`^part 1 of ${apart.point} is not stored whole`));
  await rename(join(world.dir, part), join(folder, part));
  await rm(join(world.vault, 'shop/points', first.point, 'manifest'));
}

/** Nothing writes any more. */
async function silence(world: Lifeboat): Promise<void> {
  await stopRestored(world);
  await world.cli(['cancel', 'wal/shop']);
  await world.cli(['status', 'wal/shop', '--follow']);
  await world.server.stop();
}

test('incremental and differential backups, from the order to the restored cluster', async (t) => {
  await withLifeboat(async (world) => {
    await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', [SCHEDULE])].join('\n'));
    await world.server.sql('create table orders (id int)');
    await world.startWorker();
    await setSummaries(world, 'off');
    assert.match((await advice(world))?.hint ?? '', /alter system set summarize_wal = on/);
    assert.match((await advice(world))?.found ?? '', /^summarize_wal is off: every page is read and compared here/);
    const said = await world.cli(['backup', 'shop', '--type', 'incremental']);
    assert.equal(said.code, 0, said.err);
    assert.match(said.out, /note: a full backup was taken instead: there is no point to build on/);
    const compared = await backup(world, '--type', 'differential');
    assert.deepEqual([compared.kind, compared.fallback], ['differential', undefined]);

    await setSummaries(world, 'on');
    assert.equal((await advice(world))?.hint, undefined);
    const points = await takeChain(world);
    await looksAt(world, points);
    await restores(world, points);
    await breaks(world, points);
    await silence(world);
    const [, first, second] = points;
    assert.ok(first && second);
    const gone = new RegExp(`${first.point}, which ${second.point} stands on, is not in the vault`);
    await t.test(`a point whose chain is broken: ${PROMISE}`, (inner) =>
      refuse(inner, world, [
        {
          ...{ name: 'restore', words: ['restore', 'shop', '--point', second.point] },
          ...{ type: 'Precondition', message: gone, place: `shop/${second.point}` },
          ...{ expected: /every point that this incremental one stands on/, found: gone, next: /leave out --point/ },
        },
        {
          ...{ name: 'verify', words: ['verify', `shop/${second.point}`] },
          ...{ type: 'Integrity', message: gone, place: `shop/${second.point}` },
          ...{ expected: 'every point that it stands on', found: gone, next: /lifeboat backup shop/ },
        },
      ]),
    );
    const left = await world.cli(['restore', 'shop', '--preview']);
    assert.match(left.out, new RegExp(`note: left out, because what they stand on is not there: ${second.point}\n`));
  });
});
