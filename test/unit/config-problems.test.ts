import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureFacts, isFailure } from '../../workflows/model/failure.ts';
import { check, GOOD, problemsIn, withChange } from '../support/config-file.ts';

/** What a person writes, and what they must be told: place, expected, found. */
const CASES: {
  name: string;
  from: string;
  to: string;
  path: string;
  at: string;
  expected: RegExp;
  found: RegExp;
  reason?: RegExp;
}[] = [
  {
    name: 'a misspelt key names the nearest known one',
    from: 'shipEvery: 5s',
    to: 'shipEvry: 5s',
    path: 'sources.shop.wal.shipEvry',
    at: '17:12',
    expected: /^"shipEvery"$/,
    found: /^"shipEvry"$/,
    reason: /unknown key, did you mean "shipEvery"\?/,
  },
  {
    name: 'an unknown key far from any lists the known ones',
    from: 'wal: { shipEvery: 5s }',
    to: 'wal: { colour: blue }',
    path: 'sources.shop.wal.colour',
    at: '17:12',
    expected:
      /receive, host, socket, socketMode, fetchSocket, shipEvery, synchronous, newBaseAfterHole, heartbeatEvery, spool, slot, from, streams or hosts/,
    found: /^"colour"$/,
  },
  {
    name: 'a misspelt key of the kind itself',
    from: 'bucket: backups',
    to: 'bukcet: backups',
    path: 'stores.offsite.bukcet',
    at: '7:5',
    expected: /^"bucket"$/,
    found: /"bukcet"/,
  },
  {
    name: 'a retention with a misspelt rule',
    from: 'wal: { shipEvery: 5s }',
    to: 'retention: { window: 14d, dayly: 30 }',
    path: 'sources.shop.retention.dayly',
    at: '17:31',
    expected: /^"daily"$/,
    found: /^"dayly"$/,
  },
  {
    name: 'a retention that keeps no full point',
    from: 'wal: { shipEvery: 5s }',
    to: 'retention: { fulls: 0 }',
    path: 'sources.shop.retention.fulls',
    at: '17:25',
    expected: /at least 1/,
    found: /^0$/,
  },
  {
    name: 'a rule in days instead of a count',
    from: 'wal: { shipEvery: 5s }',
    to: 'retention: { daily: 30d }',
    path: 'sources.shop.retention.daily',
    at: '17:25',
    expected: /a whole number|a number/,
    found: /^"30d"$/,
  },
  {
    name: 'a schedule of a retention that is not declared',
    from: 'schedule: { backup: {',
    to: 'schedule: { retention: { every: 1d }, backup: {',
    path: 'sources.shop.schedule.retention',
    at: '18:28',
    expected: /sources\.shop\.retention/,
    found: /none/,
    reason: /not declared/,
  },
  {
    name: 'a wrong type',
    from: 'port: 5432',
    to: 'port: "5432"',
    path: 'sources.shop.connection.port',
    at: '15:42',
    expected: /a number/,
    found: /^"5432"$/,
  },
  {
    name: 'a port out of range',
    from: 'port: 5432',
    to: 'port: 70000',
    path: 'sources.shop.connection.port',
    at: '15:42',
    expected: /at most 65535/,
    found: /^70000$/,
  },
  {
    name: 'a duration without unit',
    from: 'shipEvery: 5s',
    to: 'shipEvery: 5',
    path: 'sources.shop.wal.shipEvery',
    at: '17:23',
    expected: /a text/,
    found: /^5$/,
  },
  {
    name: 'a duration with an unknown unit',
    from: 'shipEvery: 5s',
    to: 'shipEvery: 5parsecs',
    path: 'sources.shop.wal.shipEvery',
    at: '17:23',
    expected: /a number with a unit/,
    found: /^"5parsecs"$/,
  },
  {
    name: 'a duration that is too short',
    from: 'rto: 1h',
    to: 'rto: 1ms',
    path: 'sources.shop.objectives.rto',
    at: '19:24',
    expected: /at least 1s/,
    found: /^"1ms"$/,
  },
  {
    name: 'a choice never falls back',
    from: 'wal: { shipEvery: 5s }',
    to: 'backup: { checkpoint: fats }',
    path: 'sources.shop.backup.checkpoint',
    at: '17:27',
    expected: /fast or spread/,
    found: /^"fats"$/,
    reason: /did you mean "fast"/,
  },
  {
    name: 'a chain without a link',
    from: 'wal: { shipEvery: 5s }',
    to: 'backup: { chainLimit: 0 }',
    path: 'sources.shop.backup.chainLimit',
    at: '17:27',
    expected: /1/,
    found: /^0$/,
  },
  {
    name: 'an unknown kind',
    from: 'kind: filesystem',
    to: 'kind: filesystm',
    path: 'stores.local.kind',
    at: '4:20',
    expected: /filesystem or s3/,
    found: /"filesystm"/,
    reason: /did you mean "filesystem"/,
  },
  {
    name: 'a store that is not declared',
    from: 'store: local',
    to: 'store: lokal',
    path: 'sources.shop.store',
    at: '16:12',
    expected: /one of local, offsite/,
    found: /"lokal"/,
    reason: /did you mean "local"/,
  },
  {
    name: 'a notifier that is not declared',
    from: 'store: local',
    to: 'store: local\n    notify: [ ops ]',
    path: 'sources.shop.notify.0',
    at: '17:15',
    expected: /a notifier under notifiers:/,
    found: /"ops"/,
  },
  {
    name: 'a name that cannot be part of a key',
    from: '  shop:',
    to: '  Shop_1:',
    path: 'sources.Shop_1',
    at: '13:3',
    expected: /lower case/,
    found: /"Shop_1"/,
  },
  {
    name: 'a cron expression',
    from: '0 2 * * *',
    to: '0 25 * * *',
    path: 'sources.shop.schedule.backup.cron',
    at: '18:33',
    expected: /field hour: 0 to 23/,
    found: /"0 25 \* \* \*"/,
  },
  {
    name: 'a time zone',
    from: 'timezone: UTC',
    to: 'timezone: Europe/Berln',
    path: 'sources.shop.schedule.backup.timezone',
    at: '18:56',
    expected: /did you mean "Europe\/Berlin"/,
    found: /Berln/,
  },
  {
    name: 'a schedule that says neither or both',
    from: 'cron: "0 2 * * *"',
    to: 'cron: "0 2 * * *", every: 1h',
    path: 'sources.shop.schedule.backup',
    at: '18:25',
    expected: /either cron or every/,
    found: /a mapping/,
  },
  {
    name: 'an address that is a URL',
    from: 'address: 127.0.0.1:7233',
    to: 'address: http://127.0.0.1:7233',
    path: 'temporal.address',
    at: '1:22',
    expected: /host:port/,
    found: /http/,
  },
  {
    name: 'a path that a shell would have expanded',
    from: 'path: /var/lib/lifeboat',
    to: 'path: ~/lifeboat',
    path: 'stores.local.path',
    at: '4:38',
    expected: /not expanded/,
    found: /"~\/lifeboat"/,
  },
  {
    name: 'a part that is empty',
    from: 'wal: { shipEvery: 5s }',
    to: 'wal:',
    path: 'sources.shop.wal',
    at: '17:9',
    expected: /a mapping/,
    found: /null/,
  },
  {
    name: 'a union says every form',
    from: 'equals: true',
    to: 'equals: [ 1 ]',
    path: 'sources.shop.probes.0.equals',
    at: '20:65',
    expected: /a text, a number or true or false/,
    found: /a list of 1/,
  },
  {
    name: 'a key that stands twice',
    from: '    store: local',
    to: '    store: local\n    store: offsite',
    path: '',
    at: '17:5',
    expected: /each key once/,
    found: /a second one/,
  },
  {
    name: 'a text that is no YAML',
    from: 'stores:\n',
    to: 'stores: {\n',
    path: '',
    at: '5:3',
    expected: /YAML/,
    found: /error [A-Z_]+/,
  },
];

for (const each of CASES) {
  test(`config: ${each.name}`, () => {
    const problems = problemsIn(withChange(each.from, each.to));
    const [problem] = problems.filter((candidate) => candidate.path === each.path);
    assert.ok(problem, JSON.stringify(problems));
    assert.equal(`${problem.line}:${problem.column}`, each.at);
    assert.match(problem.expected, each.expected);
    assert.match(problem.found, each.found);
    if (each.reason) assert.match(problem.reason, each.reason);
  });
}

test('config: the file of the issue is good', () => {
  assert.deepEqual(problemsIn(GOOD), []);
});

test('config: all problems are told at once, in the order of the file', () => {
  const broken = withChange('port: 5432', 'port: none')
    .replace('shipEvery', 'shipEvry')
    .replace('rto: 1h', 'rto: soon');
  const problems = problemsIn(broken);
  assert.deepEqual(
    problems.map((problem) => problem.path),
    ['sources.shop.connection.port', 'sources.shop.wal.shipEvry', 'sources.shop.objectives.rto'],
  );
});

test('config: a literal password is refused and not repeated', () => {
  const text = withChange('password: { env: SHOP_PASSWORD }', 'password: hunter2');
  assert.throws(
    () => check(text),
    (error: Error) => {
      assert.ok(isFailure(error, 'ConfigInvalid'));
      assert.doesNotMatch(JSON.stringify([error.message, failureFacts(error)]), /hunter2/);
      assert.match(error.message, /sources\.shop\.connection\.password.*\{ env: NAME \} or \{ file: PATH \}/);
      return true;
    },
  );
});

test('config: a password under a misspelt key is not repeated', () => {
  const text = withChange('password: { env: SHOP_PASSWORD }', 'pasword: hunter2');
  assert.throws(
    () => check(text),
    (error: Error) => /did you mean "password"/.test(error.message) && !error.message.includes('hunter2'),
  );
});

test('config: two sources may not use one slot', () => {
  const second = GOOD.slice(GOOD.indexOf('  shop:')).replace('  shop:', '  shop-2:');
  assert.deepEqual(problemsIn(GOOD + second), []);
  const shared = GOOD + second.replace('shipEvery: 5s', 'slot: lifeboat_shop');
  const [problem] = problemsIn(shared);
  assert.equal(problem?.path, 'sources.shop-2.wal.slot');
  assert.match(problem.reason, /slot of source shop/);
});

test('config: several streams have slots and hosts of their own, and no archiver', () => {
  const wal = (text: string): string => withChange('shipEvery: 5s', text);
  assert.deepEqual(problemsIn(wal('streams: 2, hosts: [db1, db2]')), []);
  const rows: [text: string, path: string, reason: RegExp][] = [
    ['streams: 5', 'streams', /./],
    ['streams: 2, hosts: [db1]', 'hosts', /names 1 workers for 2 streams/],
    ['hosts: [db1, db2]', 'hosts', /names 2 workers for 1 stream$/],
    ['streams: 2, hosts: [db1, db1]', 'hosts', /names a worker twice/],
    ['receive: archive, host: db1, socket: /run/s, streams: 2', 'streams', /an archiver hands its files to one worker/],
    ['receive: archive, host: db1, socket: /run/s, hosts: [db1]', 'hosts', /goes with receive: stream/],
  ];
  for (const [text, key, reason] of rows) {
    const [problem, ...more] = problemsIn(wal(text));
    assert.equal(problem?.path, `sources.shop.wal.${key}`, text);
    assert.match(problem.reason, reason);
    assert.deepEqual(more, []);
  }
  const second = GOOD.slice(GOOD.indexOf('  shop:')).replace('  shop:', '  shop-2:');
  const [shared] = problemsIn(wal('streams: 2') + second);
  assert.equal(shared?.path, 'sources.shop-2');
  assert.match(shared.reason, /slot of source shop/);
});

test('config: an empty file says what is missing', () => {
  const [problem] = problemsIn('# nothing yet\n');
  assert.equal(problem?.expected, 'a mapping');
});

test('config: an alias bomb is refused', () => {
  const levels = [...'abcdefgh'].map((name, index, all) => {
    const item = index === 0 ? 'x' : `*${all[index - 1]}`;
    return `${name}: &${name} [${Array.from({ length: 9 }, () => item).join(', ')}]`;
  });
  assert.match(problemsIn(levels.join('\n'))[0]?.expected ?? '', /aliases/);
});
