import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRestoring } from '../../activities/sources/postgres-logical/restore/index.ts';
import { placeOf } from '../../activities/sources/postgres-logical/restore/place.ts';
import {
  dumpPlan,
  dumpPoint,
  firstDifference,
  LOGIN_TRIGGER,
  logicalOptions,
  openFolder,
  rolesOf,
  restoreDump,
  SHOP,
  SHOP_OBJECTS,
  SHOP_SETTINGS,
  textOf,
} from '../support/logical.ts';
import { withPostgres } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { heldThreads, testVault } from '../support/vault.ts';

heldThreads();

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a dump of everything is restored as pg_dump itself would have it`, async () => {
    await withTempDir((dir) =>
      withPostgres({ version }, async (server) => {
        await server.sql('create database shop');
        await server.sql(SHOP);
        await server.sql(SHOP_OBJECTS, 'shop');
        if (version >= 17) {
          await server.sql('alter role postgres set event_triggers = off');
          await server.sql(LOGIN_TRIGGER, 'shop');
        }
        await server.sql(SHOP_SETTINGS);
        const scratch = await openFolder(dir);
        const options = logicalOptions(server, { restore: { scratch } });
        await using vault = await (await testVault(dir)).open();
        const point = await dumpPoint(options, vault, { id: 'p-1' });
        const plan = await dumpPlan({ vault, point }, join(scratch, 'copy'));
        const restoring = createRestoring(options, plainRun());
        try {
          const { proof } = await restoreDump(options, { vault, point }, plan);
          assert.ok(proof.ok, JSON.stringify(proof.checks, undefined, 1));
          await restoring.finish(plan);
          const copy = { host: placeOf(plan).socket, port: plan.port };
          const source = { host: '127.0.0.1', port: server.port };
          assert.equal(await rolesOf(server.binaries, copy), await rolesOf(server.binaries, source));
          for (const database of ['shop', 'postgres']) {
            const [is, was] = [
              await textOf(server.binaries, { ...copy, database }, ['--create']),
              await textOf(server.binaries, { ...source, database }, ['--create']),
            ];
            assert.equal(firstDifference(is, was), undefined, database);
          }
        } finally {
          await restoring.discard(plan);
        }
      }),
    );
  });
}
