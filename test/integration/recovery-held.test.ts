import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proof } from '../../workflows/model/recovery.ts';
import { timeOf, valueOf, withRestored, withScene } from '../support/recovery.ts';
import type { TestPostgres } from '../support/postgres.ts';

const notRead = (proof: Proof): string | undefined =>
  proof.checks.find(({ name }) => name === 'tables not read')?.found;

async function fill({ sql }: TestPostgres): Promise<void> {
  await sql('create table held (id int primary key, body text)');
  await sql('create table other (id int primary key)');
  await sql(`insert into held select g, md5(g::text) from generate_series(1, 100) g; insert into other values (1)`);
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a table that a prepared transaction locks is not waited for, and is named`, () =>
    withScene({ version, settings: { max_prepared_transactions: '5' }, before: fill }, async (scene) => {
      const { server, guard } = scene;
      await server.sql(`begin; truncate held; insert into held values (7); prepare transaction 'half'`);
      await server.sql('insert into other values (2)');
      await guard.caughtUp();
      await withRestored(scene, { target: { kind: 'latest' } }, async ({ proof, sql }) => {
        assert.equal(notRead(proof), '1: postgres: public.held');
        assert.equal(await valueOf(sql, 'select count(*) from other'), '2');
        await sql(`rollback prepared 'half'`);
        assert.equal(await valueOf(sql, 'select count(*) from held'), '100');
      });
      await server.sql(`commit prepared 'half'`);
      await guard.caughtUp();
      await withRestored(scene, { target: { kind: 'latest' } }, async ({ proof, sql }) => {
        assert.equal(notRead(proof), undefined);
        assert.equal(await valueOf(sql, 'select count(*) from held'), '1');
      });
    }));
}

test('a copy that waits in recovery is proven although a transaction was under way that locks a table', () =>
  withScene({ version: 18, before: fill }, async (scene) => {
    const { server, guard } = scene;
    const client = await server.connect();
    try {
      await client.query('begin; truncate held');
      await server.sql('insert into other values (2)');
      const time = await timeOf(server.sql);
      await server.sql('insert into other values (3)');
      await guard.caughtUp();
      const target = { kind: 'time' as const, time, inclusive: true };
      await withRestored(scene, { target, action: 'pause' }, async ({ proof, sql }) => {
        assert.equal(notRead(proof), '1: postgres: public.held');
        assert.equal(await valueOf(sql, 'select count(*) from other'), '2');
      });
      // Opened, it is rid of what was not over.
      await withRestored(scene, { target }, async ({ proof, sql }) => {
        assert.equal(notRead(proof), undefined);
        assert.equal(await valueOf(sql, 'select count(*) from held'), '100');
      });
    } finally {
      await client.end();
    }
  }));
