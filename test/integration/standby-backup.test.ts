import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { checkSource } from '../../activities/sources/postgres/check-servers.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import type { PartSink } from '../../activities/sources/part-sink.ts';
import type { BackupOptions } from '../../activities/sources/source.ts';
import { failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { SUMMARIZING, takePoint } from '../support/chains.ts';
import { memorySink } from '../support/folder-sink.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { recoveryOptions, tableSums, timeOf, withRestored, withScene } from '../support/recovery.ts';
import { caughtUp, withStandby } from '../support/standby.ts';

type Read = 'local' | 'stream';

interface World extends Scene {
  standby: TestPostgres;
  read: Read;
}

const place = ({ port }: TestPostgres): string => `127.0.0.1:${port}`;

function optionsFor({ server, standby, read }: World, user = 'postgres'): PostgresOptions {
  const connection = { host: [place(server), place(standby)], user };
  return recoveryOptions(server, { connection, files: { read } });
}

function take(
  world: World,
  id: string,
  use: Partial<BackupOptions> & { parent?: string; user?: string; alone?: true } = {},
): Promise<PointSummary> {
  const { parent, user, alone, ...backup } = use;
  const options = optionsFor(world, user);
  const { host } = alone ? { host: [place(world.standby)] } : options.connection;
  const step = {
    id,
    options: { ...options, connection: { ...options.connection, host } },
    backup: { from: 'standby' as const, standbyWaitMs: 60_000, ...backup },
  };
  return takePoint(world.server, world.vault, parent === undefined ? step : { ...step, parent });
}

/** Rows that come while the files are read. */
async function whileWriting<T>({ server }: World, work: () => Promise<T>): Promise<T> {
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await server.sql('insert into t select g, md5(g::text) from generate_series(1, 300) g');
  })();
  try {
    return await work();
  } finally {
    isOver = true;
    await writing;
  }
}

const CASES: { version: number; read: Read }[] = [
  { version: 15, read: 'local' },
  { version: 18, read: 'stream' },
];

for (const { version, read } of CASES) {
  test(`PostgreSQL ${version}: a backup from a standby, files by ${read}`, async (t) => {
    const before = (server: TestPostgres): Promise<unknown> =>
      server.sql('create table t as select g as id, md5(g::text) as body from generate_series(1, 20000) g');
    await withScene({ version, settings: version < 17 ? {} : SUMMARIZING, before }, (scene) =>
      withStandby(scene.server, {}, async (standby) => {
        const world = { ...scene, standby, read };
        await restores(t, world);
        if (version >= 17) await increments(t, world);
        await lagging(t, world);
        await unsafe(t, world);
        await cutOff(t, world);
        await promoted(t, world);
        await left(t, world);
      }),
    );
  });
}

async function restores(t: TestContext, world: World): Promise<void> {
  const { server, standby, guard } = world;
  await t.test('restored to a later moment it is the primary of that moment', async () => {
    const point = await whileWriting(world, () => take(world, 's1'));
    assert.deepEqual(point.takenFrom, { server: place(standby), role: 'standby' });
    const expected = await tableSums(server.sql);
    const time = await timeOf(server.sql);
    await server.sql('truncate t');
    await guard.caughtUp();
    const target = { kind: 'time', time, inclusive: true } as const;
    await withRestored({ ...world, guard: { ...guard, point } }, { target }, async ({ sql }) => {
      assert.deepEqual(await tableSums(sql), expected);
    });
  });
}

/** Nothing moves between them: a standby alone would begin where its parent began, and the server refuses that. */
async function increments(t: TestContext, world: World): Promise<void> {
  const { server, standby } = world;
  await t.test('what changed, of an idle cluster', async () => {
    await caughtUp(server, standby);
    const parent = await take(world, 's2');
    const child = await take(world, 's3', { parent: parent.point });
    assert.deepEqual([child.kind, child.parent, child.fallback], ['incremental', 's2', undefined]);
    assert.equal(child.takenFrom?.role, 'standby');
  });

  await t.test('a role that may order no checkpoint gets a full one, and why', async () => {
    await server.sql('create role plain login replication');
    await caughtUp(server, standby);
    const parent = await take(world, 's4', { user: 'plain' });
    const child = await take(world, 's5', { parent: parent.point, user: 'plain' });
    assert.deepEqual([child.kind, child.parent], ['full', undefined]);
    assert.match(child.fallback ?? '', /^the server refuses: .*manifest requires WAL from final timeline/);
  });
}

async function lagging(t: TestContext, world: World): Promise<void> {
  const { server, standby } = world;
  await t.test('a standby that lags is refused with its lag, or passed over where it is only preferred', async () => {
    await standby.sql('select pg_wal_replay_pause()');
    await server.sql('insert into t select g from generate_series(1, 20000) g');
    await assert.rejects(take(world, 's6', { standbyWaitMs: 0 }), (error) => {
      assert.equal(failureTypeOf(error), 'Precondition', String(error));
      assert.match(findFailure(error)?.message ?? '', /has replayed .* behind primary 127.*standbyWait/s);
      return true;
    });
    const point = await take(world, 's7', { from: 'prefer-standby', standbyWaitMs: 0 });
    assert.deepEqual([point.takenFrom?.server, point.takenFrom?.role], [place(server), 'primary']);
    assert.match(point.takenFrom?.instead ?? '', /MiB behind primary/);

    const waiting = take(world, 's8');
    await standby.sql('select pg_wal_replay_resume()');
    assert.equal((await waiting).takenFrom?.role, 'standby');
  });
}

/** Half written pages of a standby can only be mended by whole ones in the primary's WAL. */
async function unsafe(t: TestContext, world: World): Promise<void> {
  const { server, standby } = world;
  const set = async (value: string): Promise<void> => {
    await server.sql(`alter system set full_page_writes = ${value}`);
    await server.sql('select pg_reload_conf()');
    while ((await server.sql('show full_page_writes'))[0]?.['full_page_writes'] !== value);
    await server.sql('checkpoint');
    await caughtUp(server, standby);
    await standby.sql('checkpoint');
  };
  await t.test('full_page_writes off on the primary: told before, and no backup', async () => {
    await set('off');
    const found = await checkSource(optionsFor(world), plainRun(), { from: { backup: 'standby' } });
    const wrong = found.filter(({ ok }) => !ok).map(({ name }) => name);
    assert.deepEqual(wrong, [`full_page_writes of the primary at ${place(standby)}`]);
    await assert.rejects(take(world, 's9'), (error) => {
      assert.equal(failureTypeOf(error), 'Precondition', String(error));
      assert.match(findFailure(error)?.message ?? '', /full_page_writes=off/);
      return true;
    });
    await set('on');
  });
}

/** The primary is not among the servers that are asked: what the standby has replayed is all that it has, however old. */
async function cutOff(t: TestContext, world: World): Promise<void> {
  const { server, standby } = world;
  const follow = async (primary: string): Promise<void> => {
    await standby.sql(`alter system set primary_conninfo = '${primary.replaceAll("'", "''")}'`);
    await standby.sql('select pg_reload_conf()');
  };
  await t.test(
    'its primary not seen: taken while it streams, and the point says so; refused when it is cut off',
    async () => {
      const point = await take(world, 's20', { alone: true });
      assert.deepEqual(point.takenFrom, {
        server: place(standby),
        role: 'standby',
        unseen: 'no other server is listed',
      });

      const [row] = await standby.sql('show primary_conninfo');
      await follow('');
      await standby.sql(`do $$ begin
      while exists (select from pg_stat_get_wal_receiver() w where w.pid is not null) loop
        perform pg_sleep(0.02); perform pg_stat_clear_snapshot(); end loop; end $$`);
      await server.sql('insert into t select g from generate_series(1, 1000) g');
      await assert.rejects(take(world, 's21', { alone: true, standbyWaitMs: 0 }), (error) => {
        assert.equal(failureTypeOf(error), 'Precondition', String(error));
        assert.match(String(error), new RegExp(`${place(standby)} has no WAL receiver, and no primary`));
        return true;
      });
      await follow(String(row?.['primary_conninfo']));
      assert.equal((await take(world, 's22', { alone: true })).takenFrom?.role, 'standby');
    },
  );

  await t.test('a role that does not see whether it streams is told what to grant', async () => {
    await server.sql('create role blind login replication');
    await caughtUp(server, standby);
    const blind = take(world, 's23', { alone: true, user: 'blind', standbyWaitMs: 0 });
    await assert.rejects(blind, /does not show its WAL receiver \(grant pg_read_all_stats\)/);
  });
}

/** A sink in which the standby is promoted when the first part comes. */
function promoting({ standby }: World): PartSink {
  const sink = memorySink(1 << 20, 1);
  let promotion: Promise<unknown> | undefined;
  const promote = (): Promise<unknown> => (promotion ??= standby.sql('select pg_promote()'));
  return {
    ...sink,
    write: async (number, bytes) => (await promote(), sink.write(number, bytes)),
    fill: async (number, fill) => (await promote(), sink.fill(number, fill)),
  };
}

async function promoted(t: TestContext, world: World): Promise<void> {
  const { standby } = world;
  await t.test('promoted meanwhile: nothing is kept, and the next attempt finds the primary of then', async () => {
    const backup = { checkpoint: 'fast', label: 'test', from: 'prefer-standby', standbyWaitMs: 60_000 } as const;
    const attempt = (out: PartSink): ReturnType<typeof takeBackup> =>
      takeBackup(optionsFor(world), { out, backup, run: plainRun() });
    await assert.rejects(attempt(promoting(world)), (error) => {
      assert.equal(failureTypeOf(error), 'Unavailable', String(error));
      assert.match(String(error), new RegExp(`standby ${place(standby)} was promoted during the backup`));
      return true;
    });
    const { takenFrom, timeline } = await attempt(memorySink());
    assert.deepEqual([takenFrom?.server, takenFrom?.role, timeline], [place(standby), 'primary', 2]);
    assert.match(takenFrom?.instead ?? '', /is a primary on timeline 1$/);
  });
}

/** The new primary does not answer, the old one is still up. */
async function left(t: TestContext, world: World): Promise<void> {
  const { server, standby } = world;
  await t.test('the primary that was left is not backed up while the new one is away', async () => {
    await standby.stop('immediate');
    const systems: string[] = [];
    const newestTimeline = (systemId: string): Promise<number> => Promise.resolve((systems.push(systemId), 2));
    await assert.rejects(take(world, 's11', { from: 'primary', newestTimeline }), (error) => {
      assert.equal(failureTypeOf(error), 'Unavailable', String(error));
      assert.match(String(error), new RegExp(`primary ${place(server)} is on timeline 1, .* of timeline 2`));
      return true;
    });
    const [row] = await server.sql('select system_identifier::text as id from pg_control_system()');
    assert.deepEqual(systems, [row?.['id']]);
    await standby.start();
  });
}
