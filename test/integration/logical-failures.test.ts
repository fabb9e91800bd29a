import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { plainRun } from '../../activities/io/run.ts';
import { isAlive } from '../../activities/io/postgres/server.ts';
import { logicalSource } from '../../activities/sources/postgres-logical/index.ts';
import type { LogicalOptions } from '../../activities/sources/postgres-logical/options.ts';
import { createRestoring } from '../../activities/sources/postgres-logical/restore/index.ts';
import { placeOf } from '../../activities/sources/postgres-logical/restore/place.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { dumpPlan, dumpPoint, logicalOptions, openFolder, restoreDump } from '../support/logical.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { heldThreads, testVault } from '../support/vault.ts';

heldThreads();

interface Scene {
  server: TestPostgres;
  dir: string;
  vault: Vault;
  options(overrides?: Record<string, unknown>): LogicalOptions;
  /** Folder with a pg_dump that does this instead, and says it has this version. */
  fake(name: string, script: string, version?: string): Promise<string>;
}

const ROWS = `
  create table orders (id int primary key, note text);
  insert into orders select n, repeat(md5(n::text), 20) from generate_series(1, 20000) n;
  create sequence numbers; select nextval('numbers'), nextval('numbers');
  select lo_from_bytea(4711, '\\x00ff');`;

async function withScene(callback: (scene: Scene) => Promise<void>): Promise<void> {
  await withTempDir((dir) =>
    withPostgres({ version: 18 }, async (server) => {
      await server.sql(ROWS);
      await using vault = await (await testVault(dir)).open();
      const scratch = await openFolder(dir);
      await callback({
        ...{ server, dir, vault },
        options: ({ dump, ...more } = {}) =>
          logicalOptions(server, { databases: ['postgres'], dump, restore: { scratch }, ...more }),
        fake: async (name, script, version = '18.4') => {
          const folder = join(dir, name);
          await mkdir(folder);
          for (const program of ['pg_dump', 'pg_dumpall']) {
            const text = [
              '#!/bin/sh',
              `if [ "$1" = --version ]; then echo '${program} (PostgreSQL) ${version}'; exit; fi`,
              `echo $$ >> ${folder}/pids`,
              `REAL=${server.binaries}/${program}`,
              program === 'pg_dump' ? script : 'exec "$REAL" "$@"',
            ];
            await writeFile(join(folder, program), `${text.join('\n')}\n`, { mode: 0o755 });
          }
          return folder;
        },
      });
    }),
  );
}

/** Everything that an attempt has to leave: no point, no program that still runs. */
async function assertNothingLeft({ vault }: Scene, folder: string): Promise<void> {
  assert.deepEqual((await vault.points()).points, []);
  const pids = (await readFile(join(folder, 'pids'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  assert.deepEqual(
    pids.filter((pid) => isAlive(Number(pid))),
    [],
  );
}

test('a dump that fails leaves nothing, says why in a few words, and tells no secret', async (t) => {
  await withScene(async (scene) => {
    const { vault, server, fake, options } = scene;
    let attempts = 0;
    const fails = async (folder: string, dump: Record<string, unknown> = {}): Promise<unknown> => {
      const taken = dumpPoint(options({ dump: { binaries: folder, ...dump } }), vault, { id: `p-${++attempts}` });
      const error: unknown = await taken.then(
        () => assert.fail('it was published'),
        (reason: unknown) => reason,
      );
      await assertNothingLeft(scene, folder);
      return error;
    };

    await t.test('pg_dump is older than the server: refused before anything', async () => {
      const folder = await fake('older', 'exit 1', '15.9');
      const error = await fails(folder);
      assert.equal(failureTypeOf(error), 'Unsupported');
      assert.match(String(error), /pg_dump is older than the server: .*15; version 18 or newer is needed/);
      assert.match(failureFacts(error).hint ?? '', /install postgresql-client-18, or set dump\.binaries/);
      assert.equal(existsSync(join(folder, 'pids')), false);
    });

    await t.test('it dies in the middle of the rows', async () => {
      const said = [
        'pg_dump: error: Dumping the contents of table "orders" failed: password=hunter2 is wrong',
        'pg_dump: detail: Error message from server: row with top secret things',
        'pg_dump: detail: Command was: COPY public.orders',
      ];
      const echo = said.map((line) => `echo '${line}' >&2`).join('; ');
      const error = await fails(await fake('dies', `"$REAL" "$@" | head -c 70000; ${echo}; exit 1`));
      assert.equal(failureTypeOf(error), 'Unavailable');
      assert.match(String(error), /pg_dump of postgres failed: pg_dump: error: Dumping the contents of table "orders"/);
      assert.doesNotMatch(JSON.stringify([String(error), failureFacts(error)]), /hunter2|top secret|COPY/);
    });

    await t.test('it is killed', async () => {
      const error = await fails(await fake('killed', '"$REAL" "$@" | head -c 30000; kill -9 $$'));
      assert.equal(failureTypeOf(error), 'Unavailable');
      assert.equal(failureFacts(error).found, 'ended by a signal');
    });

    await t.test('it ends well before its output is whole: no archive, no point', async () => {
      const folder = await fake('hangs', '"$REAL" "$@" | head -c 30000; sleep 1000');
      const error = await fails(folder, { silence: '300ms' });
      assert.equal(failureTypeOf(error), 'Unavailable');
      assert.match(String(error), /pg_dump was silent for 300ms, and was ended/);
    });

    await t.test('the connection that holds the snapshot is lost', async () => {
      const folder = await fake('waits', 'sleep 1000');
      const ended = fails(folder);
      while (!existsSync(join(folder, 'pids')) || (await holders(server)) === 0) await sleep(20);
      const error = await ended;
      assert.equal(failureTypeOf(error), 'Unavailable');
      assert.match(String(error), /snapshot was lost|terminating connection|Connection terminated/);
    });

    await t.test('the run is cancelled', async () => {
      const folder = await fake('cancelled', 'sleep 1000');
      const stopper = new AbortController();
      const run = plainRun({ signal: stopper.signal });
      const taken = dumpPoint(options({ dump: { binaries: folder } }), vault, { id: 'p-cancelled', run });
      taken.catch(() => undefined);
      while (!existsSync(join(folder, 'pids'))) await sleep(20);
      stopper.abort(new Error('enough'));
      await assert.rejects(taken, { message: 'enough' });
      await assertNothingLeft(scene, folder);
    });

    await t.test('and the next attempt is as good as any', async () => {
      assert.equal((await dumpPoint(options(), vault, { id: 'p-good' })).dump?.rows, 20_000);
    });
  });
});

/** Ends whoever holds an exported snapshot; how many there were. */
async function holders(server: TestPostgres): Promise<number> {
  const rows = await server.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'lifeboat' and state = 'idle in transaction'`,
  );
  return rows.length;
}

test('what a role lacks is named before a dump, and a database that is not there', async () => {
  await withScene(async ({ server, vault, options }) => {
    await server.sql(`
      create role plain login; create role dumper login; grant pg_read_all_data to dumper;
      create table secrets (owner name); alter table secrets enable row level security; create policy own on secrets using (true)`);
    const checksFor = async (user: string): Promise<string> => {
      const connection = { ...server.connection, user };
      await using session = logicalSource.open('shop', { ...raw(options()), connection }, plainRun());
      return JSON.stringify((await session.check()).filter(({ ok }) => !ok));
    };
    assert.match(await checksFor('plain'), /role \\"plain\\" lacks .*select on public.orders.*grant pg_read_all_data/);
    assert.match(await checksFor('dumper'), /select on large object 4711/);
    await server.sql('grant select on large object 4711 to dumper');
    assert.match(await checksFor('dumper'), /role \\"dumper\\" lacks bypassrls, for public.secrets/);
    await server.sql('alter role dumper bypassrls; alter role plain bypassrls');
    assert.equal(await checksFor('dumper'), '[]');
    const denied = dumpPoint(options({ connection: { ...server.connection, user: 'plain' } }), vault, {
      id: 'p-denied',
    });
    await assert.rejects(
      denied,
      (error) => failureTypeOf(error) === 'Denied' && /permission denied for .*orders/.test(String(error)),
    );
    const absent = dumpPoint(options({ databases: ['postgras'] }), vault, { id: 'p-absent' });
    await assert.rejects(
      absent,
      (error) => failureTypeOf(error) === 'NotFound' && /did you mean postgres\?/.test(String(error)),
    );
    // Who may not read password hashes dumps roles without them, and says so.
    await server.sql('create role narrow login bypassrls; grant select on orders, secrets, numbers to narrow');
    await server.sql('grant select on large object 4711 to narrow');
    const connection = { ...server.connection, user: 'narrow' };
    const point = await dumpPoint(options({ connection }), vault, { id: 'p-narrow' });
    assert.equal(point.dump?.rolePasswords, false);
  });
});

/** As written in a configuration. */
function raw({ dump, restore }: LogicalOptions): Record<string, unknown> {
  return {
    databases: ['postgres'],
    dump: { binaries: dump.binaries },
    restore: { binaries: restore.binaries, runAs: restore.runAs, scratch: restore.scratch },
  };
}

test('a copy that is not what was dumped is not proven, whatever differs', async (t) => {
  await withScene(async ({ server, vault, options, dir }) => {
    await server.sql('create index orders_note on orders (md5(note))');
    const point = await dumpPoint(options(), vault, { id: 'p-1' });
    const plan = await dumpPlan({ vault, point }, join(dir, 'scratch', 'copy'));
    const restoring = createRestoring(options(), plainRun());
    try {
      const { proof } = await restoreDump(options(), { vault, point }, plan);
      assert.ok(proof.ok, JSON.stringify(proof.checks));
      const copy = { ...server.connection, host: placeOf(plan).socket, port: plan.port };
      const changes: [string, string, string, RegExp][] = [
        [
          'a row is changed',
          `update orders set note = note || '.' where id = 7`,
          `update orders set note = rtrim(note, '.') where id = 7`,
          /public.orders has other content/,
        ],
        [
          'a row is missing',
          'delete from orders where id = 7',
          `insert into orders values (7, repeat(md5('7'), 20))`,
          /has 19999 rows, not 20000/,
        ],
        [
          'a large object has other bytes',
          `select lo_put(4711, 0, '\\x01')`,
          `select lo_put(4711, 0, '\\x00')`,
          /with other content/,
        ],
        [
          'a sequence is behind',
          `select setval('numbers', 1)`,
          `select setval('numbers', 2)`,
          /public.numbers is at 1, not at 2/,
        ],
        [
          'an index is missing',
          'drop index orders_note',
          'create index orders_note on orders (md5(note))',
          /1 indexes, not 2/,
        ],
      ];
      for (const [name, change, back, found] of changes) {
        await t.test(name, async () => {
          await ask(copy, change);
          const wrong = await restoring.prove(plan, undefined, () => vault.open(point.point));
          await ask(copy, back);
          assert.equal(wrong.ok, false);
          assert.match(wrong.checks.map((check) => (check.ok ? '' : check.found)).join('; '), found);
        });
      }
      assert.ok((await restoring.prove(plan, undefined, () => vault.open(point.point))).ok);
    } finally {
      await restoring.discard(plan);
    }
    assert.equal(existsSync(plan.into), false);
    assert.equal(existsSync(placeOf(plan).work), false);
  });
});

async function ask(connection: TestPostgres['connection'], text: string): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
