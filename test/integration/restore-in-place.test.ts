import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { SUMMARIZING, takePoint } from '../support/chains.ts';
import { run as runAsServer, withServerDir } from '../support/postgres.ts';
import { planFor, recover, recoveryOptions, sqlOf, tableSums, valueOf, withScene } from '../support/recovery.ts';
import type { Scene } from '../support/recovery.ts';

const LATEST = { target: { kind: 'latest' } } as const;
const ROWS = `select g as id, repeat(md5(g::text), 8) as body from generate_series(1, 40000) g`;

/** A copy in `dir`, stopped: what a person finds of a cluster that went wrong. */
async function stoppedCopy(scene: Scene, dir: string): Promise<RecoveryPlan> {
  const plan = await planFor(dir, scene.guard, LATEST);
  await recover(scene.server, { vault: scene.vault, plan });
  await stopCopy(scene, plan);
  return plan;
}

async function stopCopy({ server }: Scene, { into }: RecoveryPlan): Promise<void> {
  await runAsServer(join(server.binaries, 'pg_ctl'), ['-D', into, '-w', '-m', 'fast', 'stop']);
}

/** The same directory once more, used where it is. */
function inPlace(plan: RecoveryPlan, more: Partial<RecoveryPlan> = {}): RecoveryPlan {
  return { ...plan, run: 'run-2', walAside: join(plan.into, 'pg_wal.before-run2'), ...more };
}

type Paths = Record<'large' | 'small' | 'gone' | 'linked' | 'empty', string>;

/** Damage of every kind that a comparison has to find, in files that the backup has. */
async function damage(into: string, paths: Paths): Promise<void> {
  const file = await open(join(into, paths.large), 'r+');
  await file.write(Buffer.alloc(8192, 7), 0, 8192, 5 * 8192);
  await file.close();
  await truncate(join(into, paths.small), 100);
  await rm(join(into, paths.gone));
  await appendFile(join(into, 'PG_VERSION'), 'and more\n');
  await writeFile(join(into, 'base', 'stray'), 'not of this cluster');
}

/** What stands elsewhere under a name of its own and is reached by one in the directory: links of both kinds. */
async function linkOut(into: string, paths: Paths): Promise<() => Promise<void>> {
  const outside = await mkdtemp(`${into}.outside-`);
  const names = ['small', 'linked', 'empty'] as const;
  await link(join(into, paths.small), join(outside, 'small'));
  for (const name of ['linked', 'empty'] as const) {
    await rm(join(into, paths[name]));
    await writeFile(join(outside, name), 'precious');
    await symlink(join(outside, name), join(into, paths[name]));
  }
  const read = (): Promise<Buffer[]> => Promise.all(names.map((name) => readFile(join(outside, name))));
  const before = await read();
  return async () => {
    const after = await read();
    for (const [index, name] of names.entries()) assert.ok(after[index]?.equals(before[index] as Buffer), name);
    await rm(outside, { recursive: true });
  };
}

test('a damaged copy is made whole where it stands: only what differs is fetched, and its WAL is kept', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql(`create table large as ${ROWS}`);
    await server.sql('create table small as select 1 as x');
    await server.sql(
      'create table gone as select 2 as x; create table linked as select 3 as x; create table empty (x int)',
    );
    // Reading it would change it: hint bits.
    await server.sql('vacuum freeze large');
    await server.sql('checkpoint');
    const point = await takePoint(server, vault, { id: 'p2' });
    await server.sql('insert into small values (3)');
    await guard.caughtUp();
    const expected = await tableSums(server.sql);
    const pathOf = (table: string): Promise<string> => valueOf(server.sql, `select pg_relation_filepath('${table}')`);
    const names: (keyof Paths)[] = ['large', 'small', 'gone', 'linked', 'empty'];
    const entries = await Promise.all(names.map(async (name) => [name, await pathOf(name)] as const));
    const paths = Object.fromEntries(entries) as Paths;
    await withServerDir(async (dir) => {
      const copy = await stoppedCopy({ ...scene, guard: { ...guard, point } }, dir);
      await damage(copy.into, paths);
      const untouched = await linkOut(copy.into, paths);
      const plan = inPlace(copy);
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      assert.ok(!existsSync(join(plan.into, 'global/pg_control')), 'it could be started half made');
      const fetched = await recovery.fetch(plan, await vault.open('p2'));
      assert.ok((fetched.reusedBytes ?? 0) > fetched.bytes / 2, `${fetched.reusedBytes} of ${fetched.bytes} bytes`);
      assert.ok((fetched.reusedBytes ?? 0) < fetched.bytes, 'nothing was fetched');
      const again = await recover(server, { vault, plan });
      assert.deepEqual(
        again.proof.checks.filter((check) => !check.ok),
        [],
      );
      assert.deepEqual(await tableSums(sqlOf(plan)), expected);
      await untouched();
      assert.ok(!existsSync(join(plan.into, 'base', 'stray')));
      assert.equal(await readFile(join(plan.into, 'PG_VERSION'), 'utf8'), '18\n');
      assert.ok(
        (await readdir(plan.walAside ?? '')).some((name) => /^[0-9A-F]{24}$/.test(name)),
        'its WAL is gone',
      );
      await recovery.discard(plan);
      assert.ok(existsSync(join(plan.into, 'PG_VERSION')), 'discard removed what was there before');
      assert.ok(!existsSync(`${plan.into}.lifeboat`));
    });
  });
});

test('stopped in the middle and taken up again, and with changed blocks on top', async () => {
  await withScene({ version: 18, settings: SUMMARIZING }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql(`create table t as ${ROWS}`);
    await takePoint(server, vault, { id: 'p2' });
    await server.sql('update t set body = md5(body) where id % 50 = 0');
    await server.sql('checkpoint');
    const point = await takePoint(server, vault, { id: 'p3', parent: 'p2' });
    assert.equal(point.kind, 'incremental');
    await guard.caughtUp();
    await withServerDir(async (dir) => {
      const at = { ...scene, guard: { ...guard, point } };
      const copy = await planFor(dir, at.guard, { ...LATEST, chain: ['p2', 'p3'] });
      await recover(server, { vault, plan: copy });
      const expected = await tableSums(sqlOf(copy));
      await stopCopy(scene, copy);
      const plan = inPlace(copy);
      await writeFile(join(copy.into, 'base', 'stray'), 'not of this cluster');
      await createRecovery('shop', recoveryOptions(server), plainRun()).prepare(plan);
      for (let reports = 1; reports <= 5; reports += 2) {
        const stop = new AbortController();
        let left = reports;
        const progress = (): void => void (--left === 0 && stop.abort(new Error('stopped')));
        const run = plainRun({ signal: stop.signal, progress });
        const fetching = createRecovery('shop', recoveryOptions(server), run).fetch(plan, await vault.open('p3'));
        await assert.rejects(fetching, /stopped/);
      }
      const { proof } = await recover(server, { vault, plan });
      assert.ok(proof.ok, JSON.stringify(proof.checks));
      assert.deepEqual(await tableSums(sqlOf(plan)), expected);
      await createRecovery('shop', recoveryOptions(server), plainRun()).discard(plan);
    });
  });
});

test('killed while the directory is taken out of use: the repeat finishes that, and keeps its WAL', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql('create table t as select 1 as x');
    await guard.caughtUp();
    const expected = await tableSums(server.sql);
    await withServerDir(async (dir) => {
      const copy = await stoppedCopy(scene, dir);
      const plan = inPlace(copy);
      // As it stands when the run has said what it is about to do, and has done half of it.
      const marker = { run: plan.run, source: plan.source, setAside: null, inPlace: true, disarming: true };
      await rm(`${plan.into}.lifeboat`, { recursive: true });
      await mkdir(`${plan.into}.lifeboat`);
      await writeFile(`${plan.into}.lifeboat/run.json`, JSON.stringify(marker));
      await rename(join(plan.into, 'global/pg_control'), join(plan.into, 'global/pg_control.lifeboat-old'));
      const { proof } = await recover(server, { vault, plan });
      assert.ok(proof.ok, JSON.stringify(proof.checks));
      assert.deepEqual(await tableSums(sqlOf(plan)), expected);
      assert.ok(
        (await readdir(plan.walAside ?? '')).some((name) => /^[0-9A-F]{24}$/.test(name)),
        'its WAL is gone',
      );
      await createRecovery('shop', recoveryOptions(server), plainRun()).discard(plan);
    });
  });
});

test('a running server, another cluster, and a WAL folder of an earlier try are refused, and nothing is touched', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, guard } = scene;
    await guard.caughtUp();
    await withServerDir(async (dir) => {
      const copy = await stoppedCopy(scene, dir);
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      const refused = async (plan: RecoveryPlan, says: RegExp): Promise<void> => {
        await assert.rejects(recovery.prepare(plan), (error) => {
          assert.equal(failureTypeOf(error), 'Precondition', String(error));
          assert.match(String(error), says);
          return true;
        });
        assert.ok(existsSync(join(plan.into, 'global/pg_control')));
        assert.ok(existsSync(join(plan.into, 'pg_wal')));
      };
      await refused(inPlace(copy, { into: server.dataDir }), /in use by a running server/);
      const precious = join(dir, 'precious');
      await mkdir(join(precious, 'PG_17_202406281'), { recursive: true });
      await refused(inPlace(copy, { tablespaces: { 16384: precious } }), /tablespace directory .* is not empty/);
      const lock = join(copy.into, 'postmaster.pid');
      await writeFile(lock, '1\n');
      await refused(inPlace(copy), /may be in use by a server/);
      await rm(lock);
      await refused(inPlace(copy, { base: { ...copy.base, systemId: '1' } }), /not a copy of this cluster/);
      await refused(inPlace(copy, { walAside: dir }), /exists/);
    });
  });
});
