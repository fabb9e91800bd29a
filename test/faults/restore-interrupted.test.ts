import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { PointReader, Recovery, WalVault } from '../../activities/sources/source.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { RecoveryPlan, ReplayEvidence } from '../../workflows/model/recovery.ts';
import { run as runAsServer, withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import {
  planFor,
  recover,
  recoveryOptions,
  sqlOf,
  tableSums,
  timeOf,
  valueOf,
  withScene,
} from '../support/recovery.ts';

class Stopped extends Error {}

/** A run that is stopped at the n-th thing it does: a report, a wait, or a read of the vault. */
function stoppedAt(moment: number): { run: Run; step<T>(work: () => Promise<T>): Promise<T>; reached: () => boolean } {
  const stop = new AbortController();
  let steps = 0;
  const count = (): void => {
    if (++steps === moment) stop.abort(new Stopped(`stopped at ${moment}`));
  };
  const plain = plainRun({ signal: stop.signal });
  const sleep: Run['clock']['sleep'] = (ms, signal) => {
    count();
    return plain.clock.sleep(ms, signal);
  };
  return {
    run: { ...plain, progress: count, clock: { ...plain.clock, nowMs: () => plain.clock.nowMs(), sleep } },
    step: async (work) => {
      count();
      stop.signal.throwIfAborted();
      return work();
    },
    reached: () => steps >= moment,
  };
}

/** Repeats a step, stopped half as late again each time, until it once comes through; tells how often it was stopped. */
async function persist<T>(
  attempt: (at: ReturnType<typeof stoppedAt>) => Promise<T>,
): Promise<{ result: T; stops: number }> {
  for (let stops = 0, moment = 1; ; moment = Math.ceil(moment * 1.5)) {
    const at = stoppedAt(moment);
    try {
      return { result: await attempt(at), stops };
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      stops += 1;
    }
  }
}

function countedReader(reader: PointReader, at: ReturnType<typeof stoppedAt>): PointReader {
  return { ...reader, usePart: (part, use) => at.step(() => reader.usePart(part, use)) };
}

function countedWal(wal: WalVault, at: ReturnType<typeof stoppedAt>): WalVault {
  return { ...wal, read: (object) => at.step(() => wal.read(object)), list: (query) => at.step(() => wal.list(query)) };
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a restore that is stopped anywhere goes on, part by part, to the same cluster`, async () => {
    await withScene({ version }, async (scene) => {
      const { server, vault, guard } = scene;
      await server.sql('create table t as select g as id, md5(g::text) as body from generate_series(1, 200000) g');
      await server.sql('update t set body = body || id');
      const expected = await tableSums(server.sql);
      const time = await timeOf(server.sql);
      await server.sql('delete from t');
      await guard.caughtUp();
      await withServerDir(async (dir) => {
        const plan = await planFor(dir, guard, { target: { kind: 'time', time, inclusive: true } });
        const on = (run: Run): Recovery => createRecovery('shop', recoveryOptions(server), run);
        const reader = await vault.open(plan.base.point);
        await persist(async ({ run }) => {
          await on(run).prepare(plan);
          return true;
        });
        const fetched = await persist((at) => on(at.run).fetch(plan, countedReader(reader, at)));
        assert.ok(fetched.stops > 2, `${fetched.stops} stops of the fetch`);
        assert.ok(fetched.result.resumedParts > 0, 'nothing was resumed');
        const replayed = await persist((at) => on(at.run).replay(plan, countedWal(vault.wal, at)));
        assert.ok(replayed.stops > 2, `${replayed.stops} stops of the replay`);
        const opened = await persist((at) => on(at.run).open(plan, countedWal(vault.wal, at)));
        assert.equal(opened.result.state, 'open');
        const proven = await persist((at) => on(at.run).prove(plan, replayed.result));
        assert.ok(proven.result.ok, JSON.stringify(proven.result.checks));
        await on(plainRun()).finish(plan);
        await on(plainRun()).finish(plan);
        assert.deepEqual(await tableSums(sqlOf(plan)), expected);
        await on(plainRun()).discard(plan);
        assert.deepEqual(await readdir(dir), []);
      });
    });
  });
}

test('the recovering server is killed too: the repeat starts it again and reaches the same target', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql('create table t as select g as id from generate_series(1, 300000) g');
    const expected = await tableSums(server.sql);
    const time = await timeOf(server.sql);
    await server.sql('delete from t');
    await guard.caughtUp();
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, guard, { target: { kind: 'time', time, inclusive: true } });
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      await recovery.fetch(plan, await vault.open(plan.base.point));
      for (let kills = 0; kills < 3; kills++) {
        const at = stoppedAt(4 + 5 * kills);
        const replaying = createRecovery('shop', recoveryOptions(server), at.run).replay(plan, vault.wal);
        await replaying.catch((error: unknown) => assert.ok(error instanceof Stopped, String(error)));
        await killServer(plan);
      }
      const replay = await recovery.replay(plan, vault.wal);
      await recovery.open(plan, vault.wal);
      assert.ok((await recovery.prove(plan, replay)).ok);
      assert.deepEqual(await tableSums(sqlOf(plan)), expected);
      await recovery.discard(plan);
    });
  });
});

/** SIGKILL of the postmaster; returns when its children are gone as well. */
async function killServer(plan: RecoveryPlan): Promise<void> {
  const pid = Number((await readFile(join(plan.into, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]);
  if (!(pid > 0)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  for (let left = true; left;) {
    const proc = await readdir('/proc');
    const cwds = await Promise.all(
      proc.filter((name) => /^\d+$/.test(name)).map((name) => readlink(`/proc/${name}/cwd`).catch(() => '')),
    );
    left = cwds.includes(plan.into);
  }
}

/** Something of value that stands where the restore is to go. */
async function occupied(server: TestPostgres, into: string): Promise<void> {
  await mkdir(into, { recursive: true });
  await writeFile(join(into, 'precious'), server.dataDir);
  await mkdir(`${into}.lifeboat`);
  await writeFile(join(`${into}.lifeboat`, 'run.json'), JSON.stringify({ run: 'an old run', source: 'shop' }));
  await writeFile(join(`${into}.lifeboat`, 'parts.done'), 'old');
}

test('a directory with files is refused; set aside, it is kept until discard puts it back as it was', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await withServerDir(async (dir) => {
      const use = { target: { kind: 'latest' } } as const;
      const plain = await planFor(dir, guard, use);
      await mkdir(plain.into);
      await writeFile(join(plain.into, 'precious'), 'x');
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await assert.rejects(recovery.prepare(plain), (error) => failureTypeOf(error) === 'Precondition');
      await recovery.discard(plain);
      assert.deepEqual(await readdir(dir), ['restored']);
      assert.deepEqual(await readdir(plain.into), ['precious']);
      const plan = await planFor(dir, guard, { ...use, into: join(dir, 'other'), setAside: join(dir, 'other.old') });
      await occupied(server, plan.into);
      const { proof } = await recover(server, { vault, plan });
      assert.ok(proof.ok);
      assert.deepEqual(await readdir(join(dir, 'other.old')), ['precious']);
      await recovery.discard(plan);
      await recovery.discard(plan);
      assert.deepEqual(await readdir(plan.into), ['precious']);
      assert.deepEqual((await readdir(`${plan.into}.lifeboat`)).sort(), ['parts.done', 'run.json']);
      assert.ok(!existsSync(join(dir, 'other.old')));
    });
  });
});

test('a discard that was cut off after it put the old directory back does not remove it when it is repeated', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, guard } = scene;
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, guard, { target: { kind: 'latest' }, setAside: join(dir, 'old') });
      await occupied(server, plan.into);
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      const marker = join(`${plan.into}.lifeboat`, 'run.json');
      const kept = await readFile(marker, 'utf8');
      await recovery.discard(plan);
      // As it stands when the process dies before the marker goes: the old directory is back already.
      await writeFile(marker, JSON.stringify({ ...(JSON.parse(kept) as object), discarded: true }));
      await recovery.discard(plan);
      assert.deepEqual(await readdir(plan.into), ['precious']);
    });
  });
});

test('a journal that another run left says nothing: every part is fetched', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, guard, { target: { kind: 'latest' } });
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      const reader = await vault.open(plan.base.point);
      await recovery.fetch(plan, reader);
      const work = `${plan.into}.lifeboat`;
      const journal = await readFile(join(work, 'parts.done'), 'utf8');
      await recovery.discard(plan);
      await mkdir(work);
      await writeFile(join(work, 'parts.done'), journal);
      const next = { ...plan, run: 'run-2' };
      await recovery.prepare(next);
      assert.equal((await recovery.fetch(next, reader)).resumedParts, 0);
      const replay: ReplayEvidence = await recovery.replay(next, vault.wal);
      assert.ok((await recovery.prove(next, replay)).ok);
      await runAsServer(join(server.binaries, 'pg_controldata'), [plan.into]);
      assert.equal(await valueOf(sqlOf(next), 'select 1'), '1');
      await recovery.discard(next);
    });
  });
});
