import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, GOOD, problemsIn } from '../support/config-file.ts';

const SERVICE = `switches:
  lb: { kind: command, run: [/srv/lb] }
services:
  web:
    source: shop
    traffic: [lb]
    cluster:
      nodes:
        db1: { site: east, host: db1, dataDir: /srv/one, address: 10.0.0.1 }
        db2: { site: west, host: db2, dataDir: /srv/two, address: 10.0.0.2, start: { by: pg_ctl } }
      connection: { user: postgres }
      replication: { user: replicator, password: { env: A } }
      fence: [{ by: command, name: power, run: [/srv/off] }, { by: lease, after: 60s }]
      automatic: [planned]
      watch: { witnesses: [office] }
`;

const CLUSTER = 'services.web.cluster';
const INSTANCE = 'nodes.db1.instance';

/** What a person writes, and what they must be told. */
const CASES: [name: string, from: string, to: string, path: string, reason: RegExp, expected: RegExp][] = [
  ['one site twice', 'site: west', 'site: east', 'nodes.db2.site', /has the site of node db1/, /one of its own/],
  ['one address twice', '10.0.0.2', '10.0.0.1', 'nodes.db2.port', /has the address of node db1/, /one of its own/],
  [
    'a site with the name of another node',
    'site: west',
    'site: db1',
    'nodes.db2.site',
    /name of another node/,
    /its own/,
  ],
  ['a way to start that is none', 'by: pg_ctl', 'by: magic', 'nodes.db2.start.by', /is unknown/, /pg_ctl or command/],
  [
    'a fence that is none',
    'by: lease, after: 60s',
    'by: hope',
    'fence.1.by',
    /is unknown/,
    /agent-stop, instance-stop, command, traffic or lease/,
  ],
  [
    'an isolation that is none',
    'automatic: [planned]',
    'drill: { isolation: hope }',
    'drill.isolation',
    /is unknown/,
    /any or namespace/,
  ],
  [
    'a drill by cron and by interval',
    'automatic: [planned]',
    'drill: { schedule: { every: 1d, cron: "0 1 * * *" } }',
    'drill.schedule',
    /is not usable/,
    /either cron or every/,
  ],
  [
    'a setting of a clone that has no name',
    'automatic: [planned]',
    'drill: { settings: { "A B": x } }',
    'drill.settings.A B',
    /./,
    /./,
  ],
  [
    'a folder for two clones',
    'host: db1, dataDir: /srv/one, address: 10.0.0.1 }\n        db2: { site: west, host: db2,',
    'host: db1, dataDir: /srv/one, address: 10.0.0.1, drillDir: /d }\n        db2: { site: west, host: db1, drillDir: /d,',
    'nodes.db2.drillDir',
    /has the folder for the clone of node db1/,
    /one of its own/,
  ],
  ['a lease without its time', 'by: lease, after: 60s', 'by: lease', 'fence.1.after', /is missing/, /./],
  ['an instance that no node names', 'by: lease, after: 60s', 'by: instance-stop', INSTANCE, /has no instance, and fence 2 stops it/, /region and id/], // prettier-ignore
  ['an instance by its name', '10.0.0.2,', '10.0.0.2, instance: { region: eu-west-1, id: db2 },', 'nodes.db2.instance.id', /is not usable/, /id of an instance/], // prettier-ignore
  ['what goes by itself twice', '[planned]', '[planned, planned]', 'automatic.1', /is named twice/, /each once/],
  ['what never goes by itself', '[planned]', '[breakGlass]', 'automatic.0', /is unknown/, /planned or unplanned/],
  ['an address with a port', '10.0.0.2,', '"10.0.0.2:5432",', 'nodes.db2.address', /is not usable/, /without a port/],
  ['a worker that has no name', 'host: db2', 'host: " "', 'nodes.db2.host', /is not usable/, /the name of a worker/],
  [
    'a secret in the file',
    'password: { env: A }',
    'password: hunter2',
    'replication.password',
    /is not usable/,
    /a reference/,
  ],
  [
    'too few to decide',
    'witnesses: [office]',
    'automatic: true',
    'watch.automatic',
    /has too few observers/,
    /3 hosts or more/,
  ],
  ['a witness twice', '[office]', '[office, office]', 'watch.witnesses.1', /is named twice/, /each once/],
  [
    'a witness that is no other',
    '[office]',
    '[office, db1]',
    'watch.witnesses.1',
    /is the host of a node/,
    /another host/,
  ],
  [
    'a goal that is nowhere',
    '[office] }',
    '[office], to: wset }',
    'watch.to',
    /is no site and no node/,
    /east, db2, west/,
  ],
  ['a look that never ends', '[office] }', '[office], every: 5ms }', 'watch.every', /is not usable/, /at least 200ms/],
  ['a misspelt key', 'automatic:', 'automatik:', 'automatik', /did you mean "automatic"/, /"automatic"/],
];

test('a cluster of two nodes is taken, with its defaults', () => {
  const { parsed } = check(GOOD + SERVICE);
  const cluster = parsed.services['web']?.cluster;
  assert.ok(cluster);
  const { limits, approvals, nodes, connection } = cluster;
  assert.deepEqual(limits, { lag: 16_777_216, outage: 30_000, drain: 5_000, look: 10_000, transaction: 60_000 });
  const { after, every, ready } = cluster.watch;
  assert.deepEqual(after, { process: 5_000, host: 60_000, frozen: 60_000, site: 1_800_000, cut: 3_600_000 });
  assert.deepEqual([every, ready.lag, ready.free], [2000, 300_000, 1_073_741_824]);
  assert.deepEqual([approvals.breakGlass.of, approvals.planned], [2, undefined]);
  assert.deepEqual([nodes['db1']?.port, nodes['db1']?.start.by, connection.database], [5432, 'pg_ctl', 'postgres']);
});

test('a cluster that cannot be: place, reason and what is expected', () => {
  for (const [name, from, to, path, reason, expected] of CASES) {
    assert.ok(SERVICE.includes(from), name);
    const problems = problemsIn(GOOD + SERVICE.replace(from, to));
    const [first] = problems;
    const more = path === INSTANCE ? 2 : 1;
    assert.ok(first && problems.length === more, `${name}: ${JSON.stringify(problems)}`);
    assert.equal(first.path, `${CLUSTER}.${path}`, name);
    assert.match(first.reason, reason, name);
    assert.match(first.expected, expected, name);
    assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
  }
});

test('instances are stopped where each node has one, and once', () => {
  const instance = (id: string): string => `instance: { region: eu-west-1, id: ${id} }`;
  const all = (GOOD + SERVICE)
    .replace('10.0.0.1 }', `10.0.0.1, ${instance('i-0123456789abcdef0')} }`)
    .replace('10.0.0.2,', `10.0.0.2, ${instance('i-0123456789abcdef1')},`)
    .replace('by: lease, after: 60s', 'by: instance-stop, host: office');
  const { parsed } = check(all);
  assert.deepEqual(parsed.services['web']?.cluster?.fence.map(({ by }) => by), ['command', 'instance-stop']); // prettier-ignore
  const twice = problemsIn(all.replace('{ by: command, name: power, run: [/srv/off] }', '{ by: instance-stop }'));
  assert.deepEqual(twice.map(({ path, reason }) => [path, reason]), [[`${CLUSTER}.fence.1`, 'stops the same instance as a step before it']]); // prettier-ignore
  const half = problemsIn(all.replace('host: office', 'accessKeyId: { env: A }'));
  assert.deepEqual(half.map(({ path }) => path), [`${CLUSTER}.fence.1.secretAccessKey`]); // prettier-ignore
});

test('a cluster of one node, and two nodes in one directory', () => {
  const one = problemsIn((GOOD + SERVICE).replace(/^ {8}db2:.*\n/m, ''));
  assert.deepEqual(one.map(({ path, reason }) => [path, reason]), [[`${CLUSTER}.nodes`, 'has no node to fail over to']]); // prettier-ignore
  const same = problemsIn((GOOD + SERVICE).replace('host: db2, dataDir: /srv/two', 'host: db1, dataDir: /srv/one'));
  assert.deepEqual(same.map(({ path }) => path), [`${CLUSTER}.nodes.db2.dataDir`]); // prettier-ignore
});
