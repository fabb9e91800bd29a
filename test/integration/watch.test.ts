import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { processesOn } from '../../activities/cluster/power.ts';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { FailoverResult } from '../../workflows/model/failover.ts';
import { compareLsn, lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import { ask } from '../support/cli-ask.ts';
import type { Pair } from '../support/failover-pair.ts';
import { addressIn, isStandby, pairConfig, withPair } from '../support/failover-pair.ts';
import { fileSwitch } from '../support/file-switch.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres } from '../support/postgres.ts';
import { until } from '../support/system-until.ts';
import { sees, urges } from '../support/watched.ts';

interface Scene extends Pair {
  world: Lifeboat;
}

interface SceneUse {
  version: 15 | 18;
  workers: string[];
  more: Record<string, unknown>;
}

/** A service on two servers that are watched. */
async function withScene(
  { version, workers, more }: SceneUse,
  callback: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withLifeboat(async (world) => {
    const onPair = (primary: TestPostgres): Promise<void> =>
      withPair(primary, async (pair) => {
        const lb = await fileSwitch(join(world.dir, 'traffic'), { [addressIn(pair.a)]: 100 });
        const service = pairConfig(pair, { lb, source: 'shop', hosts: ['a', 'b'], more });
        const [here, there] = [pair.a, pair.b].map(addressIn);
        const source = world.source('shop', [
          `connection: { host: ["${here}", "${there}"], user: postgres, database: postgres }`,
        ]);
        await world.writeConfig(['name: test', LOCAL_STORE, stringify(service), 'sources:', source].join('\n'));
        await Promise.all(workers.map((name) => world.startWorker(name)));
        try {
          await ask(world, 'watch', 'web');
          await callback({ ...pair, world });
        } finally {
          await signalled(pair.a, 'SIGKILL');
        }
      });
    if (version === 18) return onPair(world.server);
    return withPostgres({ version, settings: { full_page_writes: 'on' } }, onPair);
  });
}

/** To every process of a server, as a host that stops does it to all of them. */
async function signalled({ dataDir }: TestPostgres, signal: NodeJS.Signals): Promise<void> {
  for (const pid of await processesOn(dataDir)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function readiness({ world }: Scene): Promise<Readiness> {
  const { json } = await world.cli(['ready', 'web', '--json']);
  assert.ok(json['readiness'], JSON.stringify(json));
  return json['readiness'] as Readiness;
}

/** Red while it is broken, and not red any more when it is mended; both are statements on one server. */
async function redWhile(scene: Scene, check: string, { at, broken, mended }: Breaking): Promise<void> {
  const isRed = async (): Promise<boolean> =>
    (await readiness(scene)).checks.some(({ name, ok }) => name === check && !ok);
  for (const text of broken) await at.sql(text);
  await until(`${check} is red`, async () => (await isRed()) || undefined);
  for (const text of mended) await at.sql(text);
  await until(`${check} is not red`, async () => !(await isRed()) || undefined);
}

interface Breaking {
  at: TestPostgres;
  broken: string[];
  mended: string[];
}

const RELOAD = 'select pg_reload_conf()';

const EAGER = { every: '200ms', after: { process: '1s', frozen: '1s', host: '1h', site: '1h', cut: '1h' } };

test('ready, standby isolated, frozen: on PostgreSQL 18, with three that look, by itself', () =>
  withScene(
    {
      ...{ version: 18, workers: ['a', 'b', 'c'] },
      more: {
        ...{ objectives: { rto: '5m', rpo: '1h' }, fence: [{ by: 'traffic', confirms: true }] },
        watch: { ...EAGER, automatic: true, witnesses: ['c'], ready: { free: '1MiB' } },
      },
    },
    async (scene) => {
      const { world, a, b } = scene;
      const wanted = `select setting from pg_settings where name = 'primary_conninfo'`;
      await a.sql(`select pg_create_physical_replication_slot('own', true)`);
      await b.sql(`alter system set primary_slot_name = 'own'`);
      await b.sql(RELOAD);
      await until('only the drills are missing', async () => {
        const bad = (await readiness(scene)).checks.filter(({ ok }) => !ok).map(({ name }) => name);
        return bad.join() === 'last drill,last failover drill' || undefined;
      });
      await redWhile(scene, 'candidate replays', {
        ...{ at: b, broken: ['select pg_wal_replay_pause()'], mended: ['select pg_wal_replay_resume()'] },
      });
      await redWhile(scene, 'db-a can be rewound', {
        at: a,
        broken: ['alter system set full_page_writes = off', RELOAD],
        mended: ['alter system set full_page_writes = on', RELOAD],
      });
      const [before] = await b.sql(wanted);
      await b.sql(`alter system set primary_conninfo = ''`);
      await b.sql(RELOAD);
      await sees(scene.world, /db-a serves, and its standby does not hear it/);
      await b.sql(`alter system set primary_conninfo = '${String(before?.['setting']).replaceAll("'", "''")}'`);
      await b.sql(RELOAD);
      await sees(scene.world, /db-a serves$/);
      assert.deepEqual([await isStandby(a), await isStandby(b)], [false, true]);
      assert.notEqual((await world.cli(['status', 'failover/web', '--json'])).code, 0, 'nothing was started');
      await signalled(a, 'SIGSTOP');
      await until('the standby is promoted', async () => !(await isStandby(b)) || undefined);
      const { result } = await ask<{ result: FailoverResult }>(world, 'status', 'failover/web', '--follow');
      assert.deepEqual([result.to, result.mode, result.approvals], ['db-b', 'unplanned', []]);
      assert.ok(result.loss?.known);
      await sees(scene.world, /db-b serves/);
      // Nothing but the word of the configuration fenced it: it wakes up as a second primary.
      await signalled(a, 'SIGCONT');
      await urges(scene.world, /two primaries: db-a and db-b/);
      // But a failover has left it, and it is kept from serving, whatever starts it.
      await until('the old primary is ended', async () => ((await runningServer(a.dataDir)) === undefined ? true : undefined)); // prettier-ignore
      await stat(join(a.dataDir, 'standby.signal'));
      assert.equal(await isStandby(b), false);
    },
  ));

interface Acknowledged {
  lsn: string;
  at: string;
}

/** Rows one after the other; of each what the server had flushed when it had acknowledged it. */
async function write({ a }: Pair, count: number): Promise<Acknowledged[]> {
  const client = await a.connect();
  const acknowledged: Acknowledged[] = [];
  try {
    for (let row = 0; row < count; row++) {
      await client.query(`insert into hammer values (gen_random_uuid())`);
      const { rows } = await client.query<Acknowledged>(
        `select pg_current_wal_flush_lsn()::text as lsn, to_json(clock_timestamp() at time zone 'UTC') #>> '{}' || 'Z' as at`,
      );
      acknowledged.push(...rows);
    }
  } finally {
    await client.end();
  }
  return acknowledged;
}

test('samples and the death of a process, on PostgreSQL 15: the command is told, and the loss by the samples', () =>
  withScene(
    {
      ...{ version: 15, workers: ['a', 'b'] },
      more: { objectives: { rpo: '1h' }, watch: EAGER, automatic: ['unplanned'] },
    },
    async (scene) => {
      const { world, a, b } = scene;
      await until(
        'a heartbeat is there',
        async () =>
          (await b.sql(`select 1 where to_regclass('lifeboat.heartbeat') is not null`)).length === 1 || undefined,
      );
      await b.sql(`alter system set primary_conninfo = ''`);
      await b.sql(RELOAD);
      await until(
        'no receiver',
        async () => (await b.sql('select 1 from pg_stat_wal_receiver')).length === 0 || undefined,
      );
      const acknowledged = await write(scene, 200);
      const samples = (): Promise<boolean> =>
        readiness(scene).then(({ checks }) => checks.some(({ name, ok }) => name === 'samples' && ok));
      await until('samples are taken', async () => (await samples()) || undefined);
      // One that is taken from now on has seen all of them.
      const [row] = await a.sql(`select max(at)::text as at from lifeboat.heartbeat where writer = 'sampler'`);
      await until(
        'two more',
        async () =>
        (await a.sql(`select 1 from lifeboat.heartbeat where writer = 'sampler' and at > '${String(row?.['at'])}'::timestamptz + interval '1.5s'`)).length === 1 || undefined, // prettier-ignore
      );
      const pid = await runningServer(a.dataDir);
      process.kill(pid ?? 0, 'SIGKILL');
      const command = await urges(
        scene.world,
        /db-a runs no server: lifeboat failover web --to west --unplanned --since /,
      );
      assert.equal(await isStandby(b), true, 'nothing starts by itself');
      const [words = ''] = /failover web --to west --unplanned --since [^ ;]+/.exec(command) ?? [];
      const { result } = await ask<{ result: FailoverResult }>(world, ...words.split(' '), '--as', 'anna');
      const { loss, promotion } = result;
      assert.ok(loss?.known);
      const { at, lsn } = loss.sample;
      const seen = acknowledged.filter((each) => Date.parse(each.at) < Date.parse(at));
      assert.equal(seen.length, acknowledged.length, `${at} is a sample from before`);
      for (const each of seen)
        assert.ok(compareLsn(lsn, each.lsn) >= 0, `${each.lsn} of ${each.at} is beyond ${lsn} of ${at}`);
      const lostBytes = lsnDistanceBytes(promotion.forkLsn, acknowledged.at(-1)?.lsn ?? '0/0');
      assert.ok(lostBytes > 0 && loss.bytes + 16_384 >= lostBytes, `${loss.bytes} quoted, ${lostBytes} lost`);
      assert.ok((loss.transactions?.known ?? 0) > 0);
    },
  ));
