import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { stringify } from 'yaml';
import type { RecoverResult } from '../../workflows/model/results.ts';
import type { Expected } from '../support/bad-input.ts';
import { assertRefused } from '../support/bad-input.ts';
import { ask } from '../support/cli-ask.ts';
import { vaultHolds, waiting } from '../support/cli-recovering.ts';
import { realTimeHost } from '../support/cli-world.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import type { NameServer } from '../support/name-server.ts';
import { CLOSED_ZONE, KEY, startNameServer, ZONE } from '../support/name-server.ts';
import type { Pooler } from '../support/pooler.ts';
import { startPooler } from '../support/pooler.ts';
import { withServerDir } from '../support/postgres.ts';
import { timeOf } from '../support/recovery.ts';

process.env['LIFEBOAT_TEST_TSIG'] = KEY.secret;
process.env['LIFEBOAT_TEST_TSIG_WRONG'] = Buffer.from('another secret altogether').toString('base64');

/** Names of services, each with a switch of the same name. */
function configOf(world: Lifeboat, pooler: Pooler, dns: NameServer): string {
  const key = { name: KEY.name, secret: { env: 'LIFEBOAT_TEST_TSIG' } };
  const record = {
    ...{ kind: 'rfc2136', server: `127.0.0.1:${dns.port}`, zone: ZONE, name: `a1.${ZONE}`, ttl: '1s', key },
    resolvers: [`127.0.0.1:${dns.resolverPort}`],
  };
  const switches = {
    pool: { kind: 'pgbouncer', host: 'here', ...pooler.options },
    slow: { ...record, maxTtl: '1s' },
    closed: { ...record, zone: CLOSED_ZONE, name: `db.${CLOSED_ZONE}` },
    forged: { ...record, key: { ...key, secret: { env: 'LIFEBOAT_TEST_TSIG_WRONG' } } },
    viewer: {
      ...{ kind: 'pgbouncer', host: 'here', ...pooler.options },
      console: { host: '127.0.0.1', port: pooler.port, user: 'viewer' },
    },
  };
  const services = Object.fromEntries(Object.keys(switches).map((name) => [name, { source: 'shop', traffic: [name] }]));
  return ['name: test', LOCAL_STORE, stringify({ switches, services }), 'sources:', world.source('shop')].join('\n');
}

function rows(loss: string[]): (Expected & { name: string; words: string[] })[] {
  const words = (service: string): string[] => ['recover', 'shop', ...loss, '--service', service];
  return [
    {
      ...{ name: 'a record that may be remembered for too long', words: words('slow'), type: 'Precondition' },
      ...{ message: /^switch slow is not ready to move traffic: time to live of at most 1 s/, place: 'switches.slow' },
      ...{ expected: 'time to live of at most 1 s', found: '2 s', next: /^lower the TTL of a1\.lifeboat\.test/ },
    },
    {
      ...{ name: 'a zone that may not be updated', words: words('closed'), type: 'Denied' },
      ...{
        message: /^switch closed: name server 127\.0\.0\.1:\d+ refuses this to key lifeboat/,
        place: /^127\.0\.0\.1:/,
      },
      ...{
        expected: /lets lifeboat do it/,
        found: 'REFUSED',
        next: /^grant it in the zone closed\.test: allow-update/,
      },
    },
    {
      ...{ name: 'a key with another secret', words: words('forged'), type: 'Denied' },
      ...{ message: /^switch forged: name server .* has another secret for key lifeboat/, place: /^127\.0\.0\.1:/ },
      ...{ expected: 'the secret of lifeboat', found: 'BADSIG', next: /^correct what `key\.secret` refers to/ },
    },
    {
      ...{ name: 'a user who may only look', words: words('viewer'), type: 'Precondition' },
      ...{ message: /^switch viewer is not ready to move traffic: viewer may pause and reload/ },
      ...{ place: 'switches.viewer', expected: 'viewer may pause and reload', found: 'admin_users = postgres' },
      next: /^add viewer to admin_users/,
    },
  ];
}

test('a loss behind a pooler: its clients wait while it is recovered, and go on at the copy', async (t) => {
  await withServerDir((dir) =>
    withLifeboat(async (world) => {
      const { server } = world;
      await using pooler = await startPooler(dir, {
        entries: [`shop = host=127.0.0.1 port=${server.port} dbname=postgres`],
      });
      await using dns = await startNameServer(dir);
      await world.writeConfig(configOf(world, pooler, dns));
      await world.startWorker();
      await server.sql('create table orders as select g as id from generate_series(1, 1000) g');
      await ask(world, 'backup', 'shop');
      const client = await pooler.connect();
      await client.query('insert into orders values (1001)');
      const moment = await timeOf(server.sql);
      await client.query('delete from orders');
      await vaultHolds(world, moment);
      const loss = ['--scenario', 'recent-loss', '--to-time', moment, '--as', 'anna'];
      const before = await readFile(pooler.file, 'utf8');
      for (const row of rows(loss))
        await t.test(`refused: ${row.name}`, () =>
          assertRefused((more) => world.cli([...row.words, ...more], realTimeHost()), row),
        );
      assert.equal(await readFile(pooler.file, 'utf8'), before);
      assert.ok(!(await dns.updates()).some((line) => line.includes('adding an RR')));

      const pending = await waiting(world, [...loss, '--service', 'pool']);
      assert.ok(pending.evidence.facts.some(({ name, value }) => name === 'switch pool now' && value === 'stopped'));
      const counting = client.query<{ n: string }>('select count(*) as n from orders');
      const writing = counting.then(() => client.query('insert into orders values (1002)'));
      writing.catch(() => undefined);
      assert.deepEqual(await server.sql('select count(*)::int as n from orders'), [{ n: 0 }]);
      await ask(world, 'approve', 'recover/shop', '--evidence', pending.evidence.hash.slice(0, 8), '--as', 'ben');
      const { result } = await ask<{ result: RecoverResult }>(world, 'status', 'recover/shop', '--follow');
      assert.equal(result.traffic[0]?.found, `shop is answered by ${result.address}`);
      assert.equal((await counting).rows[0]?.n, '1001');
      await writing;
      assert.deepEqual(await server.sql('select count(*)::int as n from orders'), [{ n: 0 }]);
      await client.end();
    }),
  );
});
