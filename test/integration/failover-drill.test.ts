import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FailoverDrillMeasurement, FailoverDrillResult } from '../../workflows/model/failover-drill.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import { ask } from '../support/cli-ask.ts';
import { processesUnder, standing } from '../support/drilled.ts';
import { Hammer, hammeredIn } from '../support/failover-pair.ts';
import type { FailoverScene } from '../support/failover-scene.ts';
import { withFailoverScene } from '../support/failover-scene.ts';
import { binariesOf } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';

/** Only of what hangs. */
const LONG = { timeout: 300_000 };
const DRILL = ['failover', 'web', '--drill'];

/** Writes into whatever it is sent to, says what it found there, and fails when it is told to. */
async function checkIn(dir: string, version: number): Promise<{ program: string; said: string; fails: string }> {
  const [program, said, fails] = ['check', 'said', 'fails'].map((name) => join(dir, name)) as [string, string, string];
  const psql = join(binariesOf(version), 'psql');
  const asked = `select current_setting('data_directory'), pg_is_in_recovery(), (select count(*) from hammer), current_setting('archive_mode')`;
  const lines = [
    `[ ! -e '${fails}' ] || { echo 'as told' >&2; exit 1; }`,
    `${psql} -X -At -h "$LIFEBOAT_HOST" -p "$LIFEBOAT_PORT" -U postgres -c "insert into hammer values ('clone')" -c "${asked}" >'${said}' 2>&1 || exit 2`,
    `echo "$LIFEBOAT_DRILL" >>'${said}'`,
  ];
  await writeFile(program, `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o755 });
  return { program, said, fails };
}

/** Nothing of it is there, and both servers are as they were. */
async function assertGone({ a, b }: FailoverScene, before: unknown): Promise<void> {
  assert.deepEqual([await standing(a), await standing(b)], before);
  assert.equal(existsSync(`${b.dataDir}.drill`), false);
  assert.deepEqual(await processesUnder(`${b.dataDir}.drill`), []);
  for (const server of [a, b]) assert.equal((await hammeredIn(server)).has('clone'), false);
}

/** As this machine lets it: the test is root where it runs in a container of ours. */
function canIsolate(): boolean {
  const how = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-current-user', '--net'];
  return spawnSync('unshare', [...how, 'true']).status === 0;
}

async function drillOn(scene: FailoverScene, said: string): Promise<FailoverDrillResult> {
  const { world, a, b } = scene;
  await using hammer = new Hammer({ 'db-a': a, 'db-b': b });
  await hammer.hits('db-a');
  const [row] = await b.sql('select count(*)::int as rows from hammer');
  const { result } = await ask<{ result: FailoverDrillResult }>(world, ...DRILL);
  await hammer.hits('db-a');
  assert.deepEqual(hammer.turns(), ['db-a']);
  const [, found = '', drill] = (await readFile(said, 'utf8')).trim().split('\n');
  const [data, standby, rows, archives] = found.split('|');
  assert.deepEqual([data, standby, archives, drill], [`${b.dataDir}.drill/data`, 'f', 'off', 'failover']);
  // All that the standby had when the copy began.
  assert.ok(Number(rows) > Number(row?.['rows']), `${rows} of ${String(row?.['rows'])}`);
  return result;
}

test('a drill on PostgreSQL 18: a clone is cut off, promoted, checked, removed; nothing else has changed', LONG, () =>
  withTempDir(async (dir) => {
    const { program, said, fails } = await checkIn(dir, 18);
    const more = { objectives: { rto: '5m' }, drill: { amcheck: true } };
    await withFailoverScene({ version: 18, checks: [{ name: 'orders', run: [program] }], more }, async (scene) => {
      const { world, b } = scene;
      const before = [await standing(scene.a), await standing(b)];
      const result = await drillOn(scene, said);
      await assertGone(scene, before);
      const { isolation, promotion, phases, objectives, checks, switches } = result;
      assert.equal(isolation.by, canIsolate() ? 'namespace' : 'settings');
      if (isolation.by === 'namespace')
        for (const node of ['db-a', 'db-b']) {
          const tried = isolation.checks.find(({ name }) => name === `cannot reach ${node}`);
          assert.equal(tried?.found, 'the clone: exit 2; the worker: reached');
        }
      assert.deepEqual([promotion.oldTimeline, promotion.timeline], [1, 2]);
      assert.ok(phases.promote <= phases.firstWrite && phases.firstWrite <= phases.ready && phases.copy > 0);
      assert.deepEqual(objectives, [{ name: 'rto', objectiveMs: 300_000, measuredMs: phases.ready, ok: true }]);
      assert.ok(
        checks.some(({ name, ok }) => name === 'pg_amcheck' && ok),
        JSON.stringify(checks),
      );
      assert.deepEqual(switches, [{ name: 'lb', from: { [`127.0.0.1:${scene.a.port}`]: 100 }, to: { [`127.0.0.1:${b.port}`]: 100 } }]); // prettier-ignore
      assert.deepEqual(await scene.lb.log(), []);

      const { readiness } = (await world.cli(['ready', 'web', '--json'])).json as { readiness: Readiness };
      const last = readiness.checks.find(({ name }) => name === 'last failover drill');
      assert.ok(last?.ok, JSON.stringify(readiness.checks));
      const status = await ask<{ failoverDrills: FailoverDrillMeasurement[] }>(world, 'status', 'shop');
      assert.deepEqual(status.failoverDrills.map(({ service, node, rtoMs, phases: took }) => [service, node, rtoMs, took]), [['web', 'db-b', 300_000, phases]]); // prettier-ignore

      await writeFile(fails, '');
      const failed = await world.cli([...DRILL, '--json']);
      assert.equal(failed.code, 6, failed.out);
      assert.match(JSON.stringify(failed.json['error']), /did not pass: orders at db-b\/drill: exit 1/);
      await assertGone(scene, before);

      await mkdir(join(`${b.dataDir}.drill`, 'theirs'), { recursive: true });
      const foreign = await world.cli([...DRILL, '--json']);
      assert.equal(foreign.code, 5, foreign.out);
      assert.match(JSON.stringify(foreign.json['error']), /holds something else/);
      assert.deepEqual(await readdir(`${b.dataDir}.drill`), ['theirs']);
      await rm(`${b.dataDir}.drill`, { recursive: true });
      const primary = await world.cli([...DRILL, '--to', 'east', '--json']);
      assert.equal(primary.code, 5, primary.out);
      assert.match(JSON.stringify(primary.json['error']), /no standby to drill on/);
      await assertGone(scene, before);
    });
  }),
);
