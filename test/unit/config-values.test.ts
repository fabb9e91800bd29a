import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assembleConfig } from '../../activities/config/assemble.ts';
import { explainConfig } from '../../activities/config/explain.ts';
import { editDistance, nearestName } from '../../workflows/model/nearest.ts';
import { secretProblems } from '../../activities/config/secrets.ts';
import { temporalConnect, temporalPlace } from '../../activities/config/temporal.ts';
import { check, GOOD, TEST_SCHEMA, withChange } from '../support/config-file.ts';
import { withTempDir } from '../support/temp-dir.ts';

/** No profile file of the machine the test runs on. */
const NOTHING = { TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml' };

const explained = (text: string, environment: Record<string, string> = NOTHING): Map<string, string> => {
  const file = check(text);
  const found = { path: file.path, from: '--config' };
  const config = assembleConfig(file, environment);
  const rows = explainConfig({ found, file, schema: TEST_SCHEMA, config, environment });
  assert.equal(new Set(rows.map((row) => row.path)).size, rows.length, 'every value once');
  return new Map(rows.map((row) => [row.path, `${row.value} | ${row.from}`]));
};

test('config: units become numbers, paths absolute, gaps defaults', () => {
  const config = assembleConfig(check(GOOD), NOTHING);
  assert.deepEqual(config.keys, {
    root: { file: '/etc/lifeboat/keys/root.key' },
    recovery: { public: '/etc/lifeboat/keys/recovery.pub' },
    signing: { file: '/etc/lifeboat/keys/signing.key' },
    trusted: [],
  });
  const shop = config.sources['shop'];
  assert.deepEqual(shop, {
    kind: 'postgres',
    store: 'local',
    options: {
      connection: { host: '127.0.0.1', port: 5432, password: { env: 'SHOP_PASSWORD' } },
      probes: [{ sql: 'select count(*) > 0 from orders', equals: true }],
    },
    backup: {
      ...{ level: 3, checkpoint: 'fast', partBytes: 16 * 2 ** 20, parallel: 4, chainLimit: 14 },
      standbyWaitMs: 300_000,
    },
    wal: {
      shipEveryMs: 5000,
      synchronous: false,
      heartbeatEveryMs: 30_000,
      spoolBytes: 64 * 2 ** 20,
      slot: 'lifeboat_shop',
      newBaseAfterHole: true,
    },
    schedule: { backup: { cron: '0 2 * * *', timezone: 'UTC' } },
    approval: { of: 1, from: [], byAnother: true, withinMs: 3_600_000 },
    objectives: { rtoMs: 3_600_000, rpoMs: 300_000 },
    notify: [],
  });
});

test('config: options of a kind are handed on as written, with absolute paths, and parse again', () => {
  const config = assembleConfig(check(withChange('path: /var/lib/lifeboat', 'path: vault')), NOTHING);
  assert.deepEqual(config.stores['local'], { kind: 'filesystem', options: { path: '/etc/lifeboat/vault' } });
  const relative = withChange('{ env: SHOP_PASSWORD }', '{ file: secrets/shop }');
  const options = assembleConfig(check(relative), NOTHING).sources['shop']?.options;
  assert.deepEqual((options as { connection: { password: unknown } }).connection.password, {
    file: '/etc/lifeboat/secrets/shop',
  });
});

test('config: a file without a name is told from another by its path', () => {
  const [here, there] = ['/a/lifeboat.yml', '/b/lifeboat.yml'].map((path) =>
    assembleConfig(check(GOOD, path), NOTHING),
  );
  assert.notEqual(here?.name, there?.name);
  assert.equal(assembleConfig(check(`name: shop-prod\n${GOOD}`), NOTHING).name, 'shop-prod');
});

test('temporal: environment, then file, then profile, then default', async () => {
  await withTempDir(async (folder) => {
    const profile = join(folder, 'temporal.toml');
    writeFileSync(profile, '[profile.default]\naddress = "toml:1"\nnamespace = "from-toml"\napi_key = "k"\n');
    const toml = { TEMPORAL_CONFIG_FILE: profile };
    assert.deepEqual(temporalPlace({}, NOTHING).address, { value: '127.0.0.1:7233', from: 'default' });
    assert.equal(temporalPlace({}, toml).address.value, 'toml:1');
    assert.equal(temporalPlace({ address: 'file:1' }, toml).address.value, 'file:1');
    const both = { ...toml, TEMPORAL_ADDRESS: 'env:1' };
    assert.deepEqual(temporalPlace({ address: 'file:1' }, both).address, {
      value: 'env:1',
      from: 'environment TEMPORAL_ADDRESS',
    });
    assert.deepEqual(temporalConnect({ address: 'file:1', namespace: 'n' }, toml), {
      connection: { address: 'file:1', apiKey: 'k', tls: true },
      namespace: 'n',
    });
  });
});

test('temporal: a broken profile file is named', async () => {
  await withTempDir(async (folder) => {
    const profile = join(folder, 'temporal.toml');
    writeFileSync(profile, 'address = [');
    assert.throws(
      () => temporalPlace({}, { TEMPORAL_CONFIG_FILE: profile }),
      /Temporal SDK's configuration cannot be read/,
    );
  });
});

test('explain: each value says where it came from', () => {
  const rows = explained(GOOD, { ...NOTHING, TEMPORAL_NAMESPACE: 'prod', SHOP_PASSWORD: 'hunter2' });
  assert.equal(rows.get('path'), '/etc/lifeboat/lifeboat.yml | --config');
  assert.equal(rows.get('temporal.address'), '127.0.0.1:7233 | lifeboat.yml:1');
  assert.equal(rows.get('temporal.namespace'), 'prod | environment TEMPORAL_NAMESPACE');
  assert.equal(rows.get('sources.shop.wal.shipEvery'), '5s | lifeboat.yml:17');
  assert.equal(rows.get('sources.shop.wal.heartbeatEvery'), '30s | default');
  assert.equal(rows.get('sources.shop.wal.slot'), 'lifeboat_shop | from the name');
  assert.equal(rows.get('sources.shop.backup.partSize'), '16MiB | default');
  assert.equal(rows.get('stores.offsite.region'), 'us-east-1 | default');
  assert.equal(rows.get('sources.shop.restore.scratch'), '/var/tmp/lifeboat | default');
  assert.equal(rows.get('sources.shop.probes.0.equals'), 'true | lifeboat.yml:20');
});

test('explain: a secret shows its reference and whether it is there, never itself', () => {
  const environment = { ...NOTHING, SHOP_PASSWORD: 'hunter2' };
  const rows = explained(withChange('http://127.0.0.1:7070', 'http://me:hunter3@127.0.0.1:7070'), environment);
  assert.match(
    rows.get('sources.shop.connection.password') ?? '',
    /^\[secret\] from environment SHOP_PASSWORD \(set\)/,
  );
  assert.match(rows.get('stores.offsite.accessKeyId') ?? '', /environment A \(not set\)/);
  assert.match(rows.get('stores.offsite.endpoint') ?? '', /^http:\/\/me:\[secret\]@127/);
  assert.doesNotMatch(JSON.stringify([...rows]), /hunter/);
});

test('secrets: each missing one is a problem with its variable and line', async () => {
  await withTempDir(async (folder) => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'x\n');
    const text = withChange('{ env: A }', `{ file: ${secret} }`).replace('{ env: B }', `{ file: ${secret}-not }`);
    const problems = secretProblems(check(text), TEST_SCHEMA);
    assert.deepEqual(
      problems.map((problem) => problem.path.join('.')),
      ['stores.offsite.secretAccessKey', 'sources.shop.connection.password'],
    );
    assert.match(problems[1]?.reason ?? '', /SHOP_PASSWORD has no value/);
    assert.equal(problems[0]?.found, 'ENOENT');
  });
});

test('nearest: one slip is forgiven, another word is not', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('ab', 'ba'), 1);
  assert.equal(nearestName('hots', ['host', 'port']), 'host');
  assert.equal(nearestName('shipevery', ['shipEvery']), 'shipEvery');
  assert.equal(nearestName('user', ['port', 'host']), undefined);
  assert.equal(nearestName('x', ['y', 'z']), 'y');
});
