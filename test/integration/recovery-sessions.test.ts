import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { TestPostgres } from '../support/postgres.ts';
import { recoveryOptions, withRestored, withScene } from '../support/recovery.ts';

/** Whoever names the table without a schema must find the one that the role's own search_path finds. */
const PROBE = { sql: 'select count(*) from mine', equals: 3 };

/** What a cluster may do to each session that comes: names that are not PostgreSQL's, triggers that forbid everything. */
async function makeHostile({ sql, version }: TestPostgres): Promise<void> {
  await sql('create schema own; create table own.mine as select generate_series(1, 3) as id');
  await sql('create schema "Odd"; create extension amcheck schema "Odd"');
  await sql('create table own.pg_database (datname name, datallowconn boolean, datconnlimit int, oid oid)');
  await sql('create table own.pg_class as select * from pg_catalog.pg_class limit 0');
  await sql('create function own.pg_is_in_recovery() returns boolean language sql return null::boolean');
  await sql(`create function own.current_setting(text) returns text language sql return 'own'`);
  await sql(`create function own.refuse() returns event_trigger language plpgsql as
    $$ begin raise exception 'nobody may do that'; end $$`);
  await sql('create event trigger ddl on ddl_command_start execute function own.refuse()');
  await sql('alter role postgres set search_path = own, pg_catalog');
  if (version < LOGIN_VERSION) return;
  // From here on nobody comes in any more who does not switch it off.
  await sql(`begin; set local event_triggers = off;
    create event trigger door on login execute function own.refuse(); alter event trigger door enable always; commit`);
}

/** Event triggers on login, and the switch for all of them. */
const LOGIN_VERSION = 17;

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: what the source does to its sessions does not change what a proof reads`, async () => {
    await withScene({ version }, async (scene) => {
      const { server, guard } = scene;
      await makeHostile(server);
      if (version >= LOGIN_VERSION) await assert.rejects(server.sql('select 1'), /nobody may do that/);
      // For the sessions of this test; Lifeboat's say themselves what they want.
      const { PGOPTIONS: before } = process.env;
      if (version >= LOGIN_VERSION) process.env['PGOPTIONS'] = '-c event_triggers=off';
      try {
        await guard.caughtUp();
        const options = recoveryOptions(server, { probes: [PROBE] });
        await withRestored(scene, { target: { kind: 'latest' }, options }, ({ proof }) => {
          const read = proof.checks.find(({ name }) => name.startsWith('every relation readable'));
          assert.match(read?.name ?? '', /amcheck/);
          assert.match(proof.checks.at(-1)?.name ?? '', /^probe/);
          assert.equal(proof.rows, 3);
          return Promise.resolve();
        });
      } finally {
        delete process.env['PGOPTIONS'];
        if (before !== undefined) process.env['PGOPTIONS'] = before;
      }
    });
  });
}
