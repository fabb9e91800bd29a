import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestPostgres } from '../support/postgres.ts';
import { timeOf, valueOf, withRestored, withScene } from '../support/recovery.ts';

const DATABASES = 200;
const RELATIONS = 20_000;

async function manyDatabases(server: TestPostgres): Promise<void> {
  await server.sql('create table marker (database text primary key)');
  const client = await server.connect();
  for (let n = 0; n < DATABASES; n++) await client.query(`create database d${n} strategy file_copy`);
  await client.end();
  for (let n = 0; n < DATABASES; n += 40) await server.sql(`create table t as select ${n} as id`, `d${n}`);
}

test(`${DATABASES} small databases: each is there, and each was read for the proof`, async (t) => {
  await withScene({ version: 18, before: manyDatabases }, async (scene) => {
    const { server, guard } = scene;
    await server.sql(`insert into marker select datname from pg_database`);
    const time = await timeOf(server.sql);
    // Recovery to a time stops at the next commit: without one, the files of d0 would be gone by then.
    await server.sql(`insert into marker values ('stop here')`);
    await server.sql('drop database d0');
    await guard.caughtUp();
    await withRestored(scene, { target: { kind: 'time', time, inclusive: true } }, async ({ sql, proof }) => {
      assert.equal(
        await valueOf(sql, `select count(*) from pg_database where datname ~ '^d[0-9]+$'`),
        String(DATABASES),
      );
      for (let n = 0; n < DATABASES; n += 40) assert.equal(await valueOf(sql, 'select id from t', `d${n}`), String(n));
      // Every database has its own catalogues of more than sixty tables.
      assert.ok(proof.relations > DATABASES * 60, `${proof.relations} relations`);
      t.diagnostic(`${proof.relations} relations read`);
    });
  });
});

async function manyRelations(server: TestPostgres): Promise<void> {
  const client = await server.connect();
  for (let from = 0; from < RELATIONS; from += 500) {
    await client.query(
      `do $$ begin for i in ${from}..${from + 499} loop execute format('create table r%s (id int)', i); end loop; end $$`,
    );
  }
  await client.query('insert into r7 values (7)');
  await client.end();
}

test(`${RELATIONS} relations: backed up, recovered, each read`, async (t) => {
  const settings = { max_locks_per_transaction: '256' };
  await withScene({ version: 15, settings, before: manyRelations }, async (scene) => {
    const { server, guard } = scene;
    await server.sql(`insert into r${RELATIONS - 1} values (1)`);
    const time = await timeOf(server.sql);
    await server.sql('drop table r7');
    await guard.caughtUp();
    const startedMs = performance.now();
    await withRestored(scene, { target: { kind: 'time', time, inclusive: true } }, async ({ sql, proof }) => {
      assert.equal(await valueOf(sql, `select count(*) from pg_class where relname ~ '^r[0-9]+$'`), String(RELATIONS));
      assert.equal(await valueOf(sql, `select id from r7`), '7');
      assert.equal(await valueOf(sql, `select id from r${RELATIONS - 1}`), '1');
      assert.ok(proof.relations > RELATIONS, `${proof.relations} relations`);
      assert.equal(proof.rows, 2);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      t.diagnostic(`recovered and proven in ${seconds} s, rss ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`);
    });
  });
});
