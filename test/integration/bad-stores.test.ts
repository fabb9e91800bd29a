import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { Finding } from '../../client/doctor/finding.ts';
import { assertRefused } from '../support/bad-input.ts';
import { realTimeHost } from '../support/cli-world.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { withLifeboat } from '../support/lifeboat.ts';
import { freePort } from '../../activities/io/free-port.ts';
import type { Row } from '../support/refused.ts';
import { PROMISE, refuse } from '../support/refused.ts';
import type { TestS3 } from '../support/s3.ts';
import { s3Missing, startS3 } from '../support/s3.ts';

test(`stores and servers that cannot be used: ${PROMISE}`, { concurrency: true }, async (t) => {
  const missing = s3Missing();
  await using s3 = missing === undefined ? await startS3() : undefined;
  await withLifeboat(async (world) => {
    const closed = await freePort();
    await world.server.sql('create role weak login');
    await writeConfigWith(world, { closed, s3 });
    await world.startWorker();
    // A store of files has its folder from its first use on.
    await world.cli(['list', 'shop']);
    await refuse(t, world, storesAndServers(closed, missing));
    await clockSkew(t, world);
    await noNamespace(t, world);
  });
});

/** Good and bad stores and servers side by side: each source has one thing wrong with it. */
async function writeConfigWith(world: Lifeboat, use: { closed: number; s3: TestS3 | undefined }): Promise<void> {
  const { closed, s3 } = use;
  process.env['LIFEBOAT_TEST_KEY'] = s3?.root.accessKeyId ?? 'none';
  process.env['LIFEBOAT_TEST_SECRET'] = s3?.root.secretAccessKey ?? 'none';
  process.env['LIFEBOAT_TEST_WRONG'] = 'another secret altogether';
  const { host, user, database, port } = world.server.connection;
  const away = `http://127.0.0.1:${closed}`;
  const endpoint = s3?.endpoint ?? away;
  const store = (name: string, at: { endpoint: string; bucket: string; secret: string }): string =>
    `  ${name}: { kind: s3, bucket: ${at.bucket}, endpoint: "${at.endpoint}", pathStyle: true, ` +
    `accessKeyId: { env: LIFEBOAT_TEST_KEY }, secretAccessKey: { env: ${at.secret} } }`;
  const bucket = (await s3?.createBucket()) ?? 'bucket';
  await world.writeConfig(
    [
      'name: test',
      'stores:',
      '  local: { kind: filesystem, path: vault }',
      '  unmounted: { kind: filesystem, path: mount/store }',
      store('away', { endpoint: away, bucket: 'backups', secret: 'LIFEBOAT_TEST_SECRET' }),
      store('no-bucket', { endpoint, bucket: 'no-such-bucket', secret: 'LIFEBOAT_TEST_SECRET' }),
      store('denied', { endpoint, bucket, secret: 'LIFEBOAT_TEST_WRONG' }),
      'sources:',
      world.source('shop'),
      world.source('away', ['store: away']),
      world.source('unmounted', ['store: unmounted']),
      world.source('no-bucket', ['store: no-bucket']),
      world.source('denied', ['store: denied']),
      world.source('down', [`connection: { host: ${host}, port: ${closed}, user: ${user}, database: ${database} }`]),
      world.source('weak', [`connection: { host: ${host}, port: ${port}, user: weak, database: ${database} }`]),
      world.source('nowhere', [`connection: { host: ${host}, port: ${port}, user: ${user}, database: no_such }`]),
    ].join('\n'),
  );
}

function storesAndServers(closed: number, noS3: string | undefined): Row[] {
  return [
    {
      ...{ name: 'an unknown source', words: ['backup', 'shpo'] },
      ...{ type: 'NotFound', message: /source shpo is not in the configuration, did you mean "shop"\?/ },
      ...{ place: /sources in .*lifeboat\.yml/, expected: /^one of shop, away/, found: 'shpo' },
      next: 'lifeboat config explain sources',
    },
    {
      ...{ name: 'a store whose folder is not there', words: ['backup', 'unmounted'] },
      ...{ type: 'NotFound', message: /store folder .*mount\/store does not exist/, place: /mount\/store$/ },
      ...{ expected: 'a folder', found: /not mounted/, next: /mkdir -p / },
    },
    {
      ...{ name: 'a store that is not reachable', words: ['list', 'away'], isSlow: true },
      ...{ type: 'Unavailable', message: /s3:\/\/backups/, place: /^s3:\/\/backups/ },
      ...{ expected: /./, found: /ECONNREFUSED/, next: /./ },
    },
    {
      ...{ name: 'a bucket that is missing', words: ['backup', 'no-bucket'], skip: noS3 },
      ...{ type: 'NotFound', message: /s3:\/\/no-such-bucket/, place: /^s3:\/\/no-such-bucket/ },
      ...{ expected: /bucket/, found: /NotFound|NoSuchBucket/, next: /create the bucket or correct/ },
    },
    {
      ...{ name: 'access denied', words: ['backup', 'denied'], skip: noS3 },
      ...{ type: 'Denied', message: /^s3:\/\//, place: /^s3:\/\// },
      ...{ expected: /./, found: /403/, next: /credentials/ },
    },
    {
      ...{ name: 'a server that is down', words: ['backup', 'down'], isSlow: true },
      ...{ type: 'Unavailable', message: new RegExp(`127\\.0\\.0\\.1:${closed}`), place: new RegExp(`:${closed}`) },
      ...{ expected: /./, found: /ECONNREFUSED/, next: /./ },
    },
    {
      ...{ name: 'a role without its right', words: ['backup', 'weak'] },
      ...{ type: 'Denied', message: /weak/, place: /./ },
      ...{ expected: /./, found: /./, next: /alter role "weak" replication/ },
    },
    {
      ...{ name: 'a database that does not exist', words: ['backup', 'nowhere'] },
      ...{ type: 'NotFound', message: /no_such/, place: /./, expected: /./, found: /./, next: /./ },
    },
  ];
}

async function clockSkew(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('clock skew: the doctor names both clocks and how to mend them', async () => {
    const skewed = Object.assign(realTimeHost(), { nowMs: () => Date.now() + 120_000 });
    const { code, json } = await world.cli(['doctor', '--json'], skewed);
    const clock = (json['checks'] as Finding[]).find(({ name }) => name === 'clock of temporal');
    assert.equal(clock?.state, 'fail');
    assert.match(clock.found, /^(2m|1m59s|1m58s) behind this host$/);
    assert.match(clock.hint ?? '', /chrony/);
    assert.notEqual(code, 0);
  });
}

async function noNamespace(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('a namespace that does not exist', async () => {
    const environment = { TEMPORAL_NAMESPACE: 'nowhere' };
    await assertRefused((more) => world.cli(['list', ...more], realTimeHost({ environment })), {
      ...{ type: 'NotFound', message: /namespace nowhere does not exist/, place: /temporal\.namespace/ },
      ...{ expected: 'a namespace of this server', found: 'nowhere', next: /namespace create nowhere/ },
    });
  });
}
