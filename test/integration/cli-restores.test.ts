import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import pg from 'pg';
import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import { isReached } from '../../workflows/model/reachable-map.ts';
import type { ExtractResult, ListedFile } from '../../workflows/model/contents.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type {
  DrillResult,
  RestorePreview,
  SourcePoints,
  SourceForecast,
  WalAnswer,
} from '../../workflows/model/results.ts';
import { changesOf, contentsOf } from '../support/bad-input.ts';
import { checkedReport } from '../support/checked-report.ts';
import { ask, lines, until } from '../support/cli-ask.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { withLifeboat } from '../support/lifeboat.ts';
import { run } from '../support/postgres.ts';
import { letServerFetch } from '../support/wal-fetching.ts';

test('restores, drills and cancellations by the CLI, on the real thing', async (t) => {
  await withLifeboat(async (world) => {
    await world.server.sql('create table orders as select generate_series(1, 1000) as id');
    await world.startWorker();
    await ask(world, 'backup', 'shop');
    await restores(t, world);
    await standby(t, world);
    await cancelled(t, world);
  });
});

async function rowsAt(port: number): Promise<number> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return Number((await client.query('select count(*) as n from orders')).rows[0]?.n);
  } finally {
    await client.end();
  }
}

async function restores(t: TestContext, world: Lifeboat): Promise<void> {
  const [moment] = await world.server.sql(`select clock_timestamp()::text as at`);
  const at = String(moment?.['at']).replace(' ', 'T').replace(/\+00$/, '+00:00');
  await world.server.sql('delete from orders');
  await until('the vault holds what comes after the moment', async () => {
    const { wal } = await ask<{ wal: WalAnswer }>(world, 'wal', 'shop');
    return Date.parse(wal.windows.at(-1)?.to ?? at) > Date.parse(at) ? true : undefined;
  });
  await t.test('restore --preview: the whole answer, and no byte moves', async () => {
    const before = await contentsOf(world.scratch);
    const { plan, windows } = await ask<RestorePreview>(world, 'restore', 'shop', '--to-time', at, '--preview');
    assert.equal(plan.target.kind === 'time' && Date.parse(plan.target.time), Date.parse(at));
    assert.ok(plan.estimate.seconds > 0 && plan.estimate.fetchBytes > 0 && windows.length > 0);
    assert.match(
      await lines(world, 'restore', 'shop', '--to-time', at, '--preview'),
      /nothing was moved\n.*base .*into .*estimate /s,
    );
    assert.deepEqual(changesOf(before, await contentsOf(world.scratch)), []);
  });
  await t.test('restore: to the moment before a DELETE; an independent client counts the rows', async () => {
    const { result } = await ask<{ result: RestoreResult }>(world, 'restore', 'shop', '--to-time', at);
    assert.equal(result.proof.ok, true);
    assert.equal(await rowsAt(result.open.port), 1000);
    assert.equal(await rowsAt(world.server.port), 0);
  });
  await t.test('restore --detach, status, status --follow', async () => {
    const started = await ask<{ workflowId: string; runId: string }>(
      world,
      'restore',
      'shop',
      '--to-latest',
      '--detach',
    );
    assert.equal(started.workflowId, 'restore/shop');
    assert.match(await lines(world, 'status', 'restore/shop'), /^run +restore\/shop\nstatus +running/);
    const done = await ask<{ runId: string; result: RestoreResult }>(world, 'status', 'restore/shop', '--follow');
    assert.equal(done.runId, started.runId);
    assert.equal(await rowsAt(done.result.open.port), 0);
    assert.match(await lines(world, 'status'), /restore\/shop +completed/);
  });
  await t.test('contents and extract: what is in a point, and one thing of it', async () => {
    const { sources } = await ask<{ sources: SourcePoints[] }>(world, 'list', 'shop');
    const point = `shop/${sources[0]?.points[0]?.point}`;
    const path = await world.server.sql(`select pg_relation_filepath('orders') as path`);
    const orders = String(path[0]?.['path']);
    const listed = await lines(world, 'contents', point, '--relations', '--under', orders);
    assert.match(listed, new RegExp(`^ *\\d+  \\S+Z  ${orders}  postgres\\.public\\.orders$`, 'm'));
    // One object for each file, and the last for all of them.
    const { out, json } = await world.cli(['contents', point, '--json']);
    const files = out
      .trimEnd()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ListedFile);
    assert.equal(json['files'], files.filter(({ type }) => type === 'file').length);
    assert.ok(files.some(({ path }) => path === 'global/pg_control'));
    const to = join(world.scratch, 'taken');
    const { extracted } = await ask<{ extracted: ExtractResult }>(
      world,
      ...['extract', point, '--relation', 'postgres.public.orders', '--to', to],
    );
    assert.equal(extracted.plan.path, orders);
    assert.equal((await readdir(to)).length, extracted.files);
    const again = await world.cli(['extract', point, '--file', 'PG_VERSION', '--to', to]);
    assert.equal(again.code, 5);
    assert.match(again.err, /taken exists/);
    await rm(to, { recursive: true });
  });
  await t.test('drill: proven, measured, and nothing of it is left', async () => {
    const before = (await readdir(world.scratch)).filter((name) => name !== 'reports').sort();
    const { result } = await ask<{ result: DrillResult }>(world, 'drill', 'shop');
    assert.equal(result.restore.proof.ok, true);
    assert.equal(result.cleaned, true);
    assert.deepEqual(
      result.objectives.map(({ name, ok }) => [name, ok]),
      [
        ['rto', true],
        ['rpo', true],
      ],
    );
    assert.deepEqual((await readdir(world.scratch)).filter((name) => name !== 'reports').sort(), before);
    const sealed = await checkedReport(world, result.report);
    assert.deepEqual([sealed.drill, sealed.kind, sealed.rto?.elapsedMs], [true, 'drill', result.rtoMs]);
    // Those of the restores before it stand in the same folder.
    const all = await ask<{ reports: unknown[] }>(world, 'report', 'verify', join(world.scratch, 'reports'));
    assert.ok(all.reports.length >= 3);
  });
  await t.test(
    'reachable: the moment that was restored is on the map, and one before the first base is not',
    async () => {
      const { copies } = await ask<{ copies: CopyReach[] }>(world, 'reachable', 'shop');
      const [reach] = copies;
      const followed = reach?.timelines.find(({ isDefault }) => isDefault);
      assert.ok(followed && isReached(followed, { kind: 'time', time: at, inclusive: true }));
      assert.ok(!isReached(followed, { kind: 'time', time: '2001-01-01T00:00:00Z', inclusive: true }));
      assert.match(await lines(world, 'reachable', 'shop'), /^copy \S+\nTIMELINE .*\n1 \(default\) +\d{4}-/);
      const folder = join(world.scratch, 'reports');
      const pages = (await readdir(folder)).filter((name) => name.endsWith('.html')).sort();
      const page = await readFile(join(folder, pages.at(-1) ?? ''), 'utf8');
      assert.match(page, /<h2>Reachable moments, copy .*<svg .*timeline 1.*<title>reachable</s);
    },
  );
  await t.test('forecast: what those took is what the next one is expected to take', async () => {
    const { forecast } = await ask<SourceForecast>(world, 'status', 'shop');
    assert.deepEqual([forecast?.restsOn, forecast?.restores, forecast?.drills], ['measured', 2, 1]);
    assert.ok(forecast?.verdict);
    assert.match(
      await lines(world, 'status', 'shop'),
      /restore will take .*promised: .*\n.*1 drill and 2 restores on host .*drill\/shop/s,
    );
    const { plan } = await ask<RestorePreview>(world, 'restore', 'shop', '--preview');
    assert.equal(plan.estimate.forecast?.restsOn, 'measured');
    assert.match(await lines(world, 'restore', 'shop', '--preview'), /which rests on +1 drill and 2 restores/);
  });
}

async function standby(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test(
    'restore --standby: it streams from the primary of the source, and fetches as its own user',
    async () => {
      const canFetch = await letServerFetch(world);
      const into = join(world.scratch, 'standby');
      if (!canFetch) {
        // This checkout is nothing that the server's user can read: then nothing is made.
        const { code, err } = await world.cli(['restore', 'shop', '--standby', '--into', into]);
        assert.equal(code, 5, err);
        assert.match(err, /could not fetch WAL from the vault/);
        return;
      }
      const { result } = await ask<{ result: RestoreResult }>(world, 'restore', 'shop', '--standby', '--into', into);
      assert.equal(result.open.state, 'standby');
      assert.deepEqual([result.proof.ok, result.open.follows?.receiver?.status], [true, 'streaming']);
      assert.match(await lines(world, 'status', 'restore/shop'), /completed/);
      await world.server.sql('insert into orders values (-1)');
      await until('the row is on the standby', async () => ((await rowsAt(result.open.port)) === 1 ? true : undefined));
      const seen = await world.server.sql(
        `select state from pg_stat_replication where application_name = 'walreceiver'`,
      );
      assert.deepEqual(seen, [{ state: 'streaming' }]);
      await run(join(world.server.binaries, 'pg_ctl'), ['-D', into, '-m', 'immediate', '-w', 'stop']);
      await world.server.sql('delete from orders');
    },
  );
}

async function cancelled(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('cancel: the run cleans up behind itself', async () => {
    const into = join(world.scratch, 'unwanted');
    const running = world.cli(['restore', 'shop', '--into', into]);
    await until('the restore begins', async () => (await readdir(world.scratch)).find((name) => name === 'unwanted'));
    assert.match(await lines(world, 'cancel', 'restore/shop'), /^asked restore\/shop to stop/);
    const said = await running;
    assert.equal(said.code, 15, said.err);
    assert.match(said.err, /run restore\/shop was cancelled/);
    const left = (await readdir(world.scratch)).filter((name) => name.startsWith('unwanted'));
    assert.deepEqual(left, []);
  });
  await t.test('cancel: the WAL stream ends, and a backup starts it again', async () => {
    await lines(world, 'cancel', 'wal/shop');
    assert.equal((await world.cli(['status', 'wal/shop', '--follow'])).code, 15);
    // The server takes a moment to see that its client is gone.
    await until('the slot is free', async () => {
      const { wal } = await ask<{ wal: WalAnswer }>(world, 'wal', 'shop');
      return wal.server?.slotState === 'inactive' ? true : undefined;
    });
    await ask(world, 'backup', 'shop');
    assert.match(await lines(world, 'status', 'wal/shop'), /status +running/);
  });
}
