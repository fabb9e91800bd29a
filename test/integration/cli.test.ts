import assert from 'node:assert/strict';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { ScheduledResult, WalAnswer } from '../../workflows/model/results.ts';
import type { Finding } from '../../client/doctor/finding.ts';
import { contentsOf } from '../support/bad-input.ts';
import { ask, lines, until } from '../support/cli-ask.ts';
import type { FakeHost } from '../support/cli-host.ts';
import type { CliWorld } from '../support/cli-world.ts';
import { hurriedHost, realTimeHost, say } from '../support/cli-world.ts';
import type { Lifeboat, WorkerProcess } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';

const writeHere = (world: Lifeboat, ...more: string[]): Promise<string> =>
  world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', more)].join('\n'));

const findingsOf = async (world: CliWorld, host?: FakeHost): Promise<{ code: number; checks: Finding[] }> => {
  const { code, json } = await world.cli(['doctor', '--json'], host);
  return { code, checks: json['checks'] as Finding[] };
};

const failed = (checks: Finding[]): Finding[] => checks.filter(({ state }) => state === 'fail');

test('the CLI, every command on the real thing', async (t) => {
  await withLifeboat(async (world) => {
    await aFolder(t, world);
    const worker = await doctorAndWorker(t, world);
    await scheduled(t, world);
    await pointsAndWal(t, world);
    await broken(t, world);
    await t.test('worker: SIGTERM ends it in order', async () => {
      assert.equal(await worker.stop('SIGTERM'), 0);
      const { code, checks } = await findingsOf(world, hurriedHost());
      assert.equal(code, 10);
      assert.deepEqual(
        failed(checks).map(({ hint }) => hint),
        ['lifeboat worker'],
      );
    });
  });
});

async function aFolder(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('init, config check, config explain', async () => {
    const dir = join(world.dir, 'fresh');
    const config = join(dir, 'lifeboat.yml');
    const run = (...words: string[]): ReturnType<typeof say> => say(words, realTimeHost({ environment: {} }));
    const made = await run('init', '--dir', dir);
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /MOVE THIS FILE OFFLINE NOW: .*\/keys\/recovery\.key/);
    process.env['SHOP_PASSWORD'] = 'not to be shown';
    const checked = await run('config', 'check', '--config', config);
    assert.equal(checked.out, `${config} is good: 1 sources, 1 stores, every secret and key is there\n`);
    const explained = await run('config', 'explain', 'sources.shop.wal', '--config', config);
    assert.match(explained.out, /^KEY +VALUE +FROM\n/);
    assert.match(explained.out, /^sources\.shop\.wal\.shipEvery +"?500ms"? +default$/m);
    const all = await run('config', 'explain', '--json', '--config', config);
    assert.ok(!all.out.includes('not to be shown'));
    delete process.env['SHOP_PASSWORD'];
    const unset = await run('config', 'check', '--config', config, '--no-secrets');
    assert.equal(unset.code, 0);
  });
}

async function doctorAndWorker(t: TestContext, world: Lifeboat): Promise<WorkerProcess> {
  await t.test('doctor: without a worker that is what it says', async () => {
    const { code, checks } = await findingsOf(world);
    assert.equal(code, 10);
    assert.deepEqual(
      failed(checks).map(({ name }) => name),
      ['worker'],
    );
  });
  const worker = await world.startWorker();
  await t.test('doctor: every line ok once the recovery key is offline', async () => {
    const online = await findingsOf(world);
    assert.deepEqual(
      online.checks.filter(({ state }) => state !== 'ok').map(({ name, state }) => [name, state]),
      [['recovery key', 'warn']],
    );
    await rm(join(world.dir, 'keys/recovery.key'));
    const { code, checks } = await findingsOf(world);
    assert.equal(code, 0);
    assert.deepEqual(
      checks.filter(({ state }) => state !== 'ok'),
      [],
    );
    const names = checks.map(({ name }) => name);
    for (const name of ['temporal', 'clock of temporal', 'worker here: keys', 'source shop: replication right']) {
      assert.ok(names.includes(name), `${name} in ${names.join(', ')}`);
    }
    assert.ok(names.some((name) => name.startsWith('store local: conditional write')));
  });
  return worker;
}

async function scheduled(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test(
    'apply: what is scheduled really runs, under the fixed id; one in the way is a recorded skip',
    async () => {
      await writeHere(world, 'schedule: { backup: { cron: "0 2 * * *", timezone: UTC } }');
      await ask(world, 'apply');
      const { workflow } = world.client;
      const inTheWay = { taskQueue: 'nobody', workflowId: 'backup/shop', args: [] };
      const blocker = await workflow.start('backup', inTheWay);
      const skipped = await firedRun(world, 'lifeboat/shop/backup');
      assert.deepEqual(skipped, {
        ...{ outcome: 'skipped', workflowId: 'backup/shop', reason: 'backup/shop is running already' },
      });
      await blocker.terminate();
      assert.equal((await firedRun(world, 'lifeboat/shop/backup')).outcome, 'started');
      const run = await ask<{ result: PointSummary }>(world, 'status', 'backup/shop', '--follow');
      assert.equal(run.result.source, 'shop');
      assert.match(await lines(world, 'list'), new RegExp(run.result.point));
      await writeHere(world);
      assert.match(await lines(world, 'apply'), /^- lifeboat\/shop\/backup\n/);
    },
  );
}

/** Triggers a Schedule and gives what its run answered. The server names runs by the second. */
async function firedRun({ client }: CliWorld, scheduleId: string): Promise<ScheduledResult> {
  const handle = client.schedule.getHandle(scheduleId);
  const before = (await handle.describe()).info.numActionsTaken;
  await handle.trigger();
  return until('the schedule fires', async () => {
    const { numActionsTaken, recentActions } = (await handle.describe()).info;
    if (numActionsTaken === before) return handle.trigger();
    const { workflowId, firstExecutionRunId } = recentActions.at(-1)?.action.workflow ?? {};
    return client.workflow.getHandle(workflowId ?? '', firstExecutionRunId).result() as Promise<ScheduledResult>;
  });
}

async function pointsAndWal(t: TestContext, world: Lifeboat): Promise<void> {
  let point: PointSummary | undefined;
  await t.test('backup, list, show, verify', async () => {
    const taken = await ask<{ point: PointSummary & { forecast?: unknown } }>(
      world,
      'backup',
      'shop',
      '--label',
      'by hand',
    );
    // What a restore of it will take is said of it, and is no part of it.
    assert.ok(taken.point.forecast);
    delete taken.point.forecast;
    ({ point } = taken);
    const { sources } = await ask<{ sources: { points: PointSummary[] }[] }>(world, 'list', 'shop');
    assert.deepEqual(sources[0]?.points.at(-1), point);
    assert.equal(sources[0]?.points.length, 2);
    for (const name of [point.point, `shop/${point.point}`]) {
      assert.match(await lines(world, 'show', name), /complete +yes\n.*reachable: /s);
      assert.equal(
        await lines(world, 'verify', name),
        `shop/${point.point} is whole: ${point.parts} parts, ${(point.bytes / 2 ** 20).toFixed(1)} MiB read and checked\n`,
      );
    }
  });
  await t.test('wal: ranges without a gap, the slot that streams, the lag', async () => {
    const { wal } = await ask<{ wal: WalAnswer }>(world, 'wal', 'shop');
    assert.deepEqual(wal.gaps, []);
    assert.equal(wal.ranges.length, 1);
    assert.equal(wal.server?.slotState, 'streaming');
    assert.equal(wal.server?.slot, 'lifeboat_shop');
    assert.match(await lines(world, 'wal', 'shop'), /lag +[\d.]+ \w+, \w+\n/);
  });
  await t.test('catalog rebuild: the index is made again from the manifests alone', async () => {
    const [before] = (await ask<{ sources: { points: number; key: string }[] }>(world, 'catalog', 'rebuild')).sources;
    assert.equal(before?.points, 2);
    await rm(join(world.vault, before?.key ?? ''));
    const after = await ask<{ sources: { points: number; damaged: number; key: string }[] }>(
      world,
      ...['catalog', 'rebuild', '--source', 'shop'],
    );
    assert.deepEqual(after.sources, [{ source: 'shop', points: 2, damaged: 0, key: before?.key }]);
    assert.ok(before?.key && (await contentsOf(join(world.vault, before.key)))[join(world.vault, before.key)]);
  });
}

/** Each thing that breaks is named, with the way to mend it; everything else stays ok. */
async function broken(t: TestContext, world: Lifeboat): Promise<void> {
  const root = join(world.dir, 'keys/root.key');
  const away = join(world.dir, 'vault-away');
  const cases: { what: string; wreck(): Promise<unknown>; mend(): Promise<unknown>; names: RegExp; hint: RegExp }[] = [
    {
      what: 'a key that others can read',
      wreck: () => chmod(root, 0o644),
      mend: () => chmod(root, 0o600),
      names: /^(worker here: keys|source shop: open)$/,
      hint: /chmod 600 .*root\.key/,
    },
    {
      what: 'a store that is a file',
      wreck: async () => {
        await rename(world.vault, away);
        await writeFile(world.vault, '');
      },
      mend: async () => {
        await rm(world.vault);
        await rename(away, world.vault);
      },
      names: /^(store local|source shop): open$/,
      hint: /./,
    },
    {
      what: 'a server that is down',
      wreck: () => world.server.stop(),
      mend: () => world.server.start(),
      names: /^source shop: connection$/,
      hint: /./,
    },
  ];
  for (const { what, wreck, mend, names, hint } of cases) {
    await t.test(`doctor: ${what}`, async () => {
      await wreck();
      const { code, checks } = await findingsOf(world);
      await mend();
      const bad = failed(checks);
      assert.ok(bad.length > 0, 'something failed');
      assert.notEqual(code, 0);
      for (const finding of bad) {
        assert.match(finding.name, names);
        assert.match(finding.hint ?? '', hint);
      }
    });
  }
  await t.test('doctor: all is ok again', async () => {
    await mkdir(world.vault, { recursive: true });
    const { code, checks } = await findingsOf(world);
    assert.deepEqual(failed(checks), []);
    assert.equal(code, 0);
  });
}
