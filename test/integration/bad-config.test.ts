import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Expected } from '../support/bad-input.ts';
import { assertRefused, changesOf, contentsOf } from '../support/bad-input.ts';
import { noticeRows } from '../support/bad-notices.ts';
import { realTimeHost, say } from '../support/cli-world.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { newKeyRing } from '../support/vault.ts';

const GOOD = `name: mine
temporal: { address: ADDRESS }
keys:
  root: { file: keys/root.key }
  recovery: { public: keys/recovery.pub }
  signing: { file: keys/signing.key }
stores:
  local: { kind: filesystem, path: vault }
sources:
  shop:
    kind: postgres
    connection: { host: 127.0.0.1, port: 5432, user: lifeboat, database: shop, password: { env: LIFEBOAT_TEST_SECRET } }
    store: local
    wal: { shipEvery: 5s }
    schedule: { backup: { cron: "0 2 * * *", timezone: UTC } }
`;

const END = 'timezone: UTC } }\n';
const SERVING = `switches:
  lb: { kind: command, run: [/srv/lb] }
services:
  web: { source: shop, traffic: [lb], steps: [50, 100], approval: { of: 1 }, checks: [{ name: port, run: [/srv/port] }] }
`;

/** The good file with a service, in which something stands instead of a piece. */
const serving = (from: string, to: string): [string, string] => {
  assert.ok(SERVING.includes(from), 'the service has what is changed');
  return [END, END + SERVING.replace(from, to)];
};

/** The same with a switch of another kind. */
const switching = (text: string): [string, string] => serving('kind: command, run: [/srv/lb]', text);
const RECORD = 'kind: rfc2136, server: ns1, zone: example.org, resolvers: [10.0.0.2], name: ';
const TSIG = 'key: { name: lifeboat, secret: { env: LIFEBOAT_TEST_SECRET } }';
const POOL =
  'kind: pgbouncer, host: pool1, console: { host: 127.0.0.1, user: lifeboat }, file: /srv/shop.ini, databases: ';

interface Row extends Expected {
  name: string;
  words: string[];
  /** A piece of the good file and what stands there instead. */
  change?: [from: string, to: string];
  /** What is wrong outside of the file. */
  break?: (dir: string) => Promise<void>;
}

const CHECK = ['config', 'check'];
const MEND = 'mend the file, then: lifeboat config check';
const at = (line: number): RegExp => new RegExp(`/lifeboat\\.yml:${line}:\\d+$`);

/** What stands instead of a switch, where it is told, and what is expected there. */
const SWITCHES: [name: string, options: string, path: string, expected: RegExp][] = [
  ['a TTL that is too high', 'kind: route53, zone: Z1, record: a.b.org, port: 1, ttl: 3600', 'ttl', /^at most 300$/],
  ['a zone by its name', 'kind: route53, zone: b.org, record: a.b.org, port: 1', 'zone', /the id of a hosted zone/],
  ['a record without sides', 'kind: route53, zone: Z1, record: a.b.org', 'port', /either port, .* or sites/],
  ['a site that is named twice', 'kind: ssm, parameter: /a, region: r, sites: [dc1, dc1]', 'sites', /every site once/],
  [
    ...(['two sites of one service', 'kind: ecs, sites: { a: ECS, b: ECS }', 'sites\\.b'] as const),
    /a service of its own: a has r default s/,
  ],
  [
    'more than there is',
    'kind: ecs, sites: { a: { region: r, service: s, desired: 1, minimum: 2 } }',
    'sites',
    /at most as/,
  ],
  [
    ...([
      'an Aurora of no name',
      'kind: rds, way: aurora, region: r, sites: { a: { instance: a }, b: { instance: b } }',
    ] as const),
    ...(['cluster', /the name of the cluster/] as const),
  ],
  [
    'a Service of no name',
    'kind: kubernetes, way: selector, sites: { a: { labels: { a: b } } }',
    'service',
    /needs it/,
  ],
  [
    'a pooler of no host',
    'kind: pgbouncer, console: { host: 127.0.0.1, user: a }, file: /srv/shop.ini, databases: [shop]',
    'host',
    /the worker on the host of the file with its entries/,
  ],
  [
    ...(['half an identity', 'kind: ssm, parameter: /a, region: r, sites: [a], accessKeyId: { env: HOME }'] as const),
    ...(['secretAccessKey', /together, or neither/] as const),
  ],
];
/** The same of a check. */
const CHECKS: [name: string, options: string, path: string, expected: RegExp][] = [
  ['a check of an unknown kind', 'kind: https, url: "http://h"', 'kind', /^command, http, sql or prometheus$/],
  ['a check of no address', 'kind: http, url: "ftp://h"', 'url', /an http or https address/],
  ['a check that compares with nothing', 'kind: prometheus, url: "http://h", query: up', 'most', /`most` or `least`/],
  ['a check that nobody makes', 'kind: sql, database: shop', 'user', /a text/],
  ['a check with options of another kind', 'kind: http, url: "http://h", run: [/srv/port]', 'run', /^kind|url/],
  ['a check that never ends', 'kind: http, url: "http://h", timeout: 5', 'timeout', /./],
];
const ECS = '{ region: r, service: s, desired: 1 }';
const ROWS: Row[] = [
  ...SWITCHES.map(([name, options, path, expected]): Row => ({
    ...{ name, words: CHECK, change: serving('kind: command, run: [/srv/lb]', options.replaceAll('ECS', ECS)) },
    ...{ type: 'ConfigInvalid', message: new RegExp(`switches\\.lb\\.${path}`), place: at(17) },
    ...{ expected, found: /./, next: MEND },
  })),
  ...CHECKS.map(([name, options, path, expected]): Row => ({
    ...{ name, words: CHECK, change: serving('name: port, run: [/srv/port]', `name: port, ${options}`) },
    ...{ type: 'ConfigInvalid', message: new RegExp(`services\\.web\\.checks[.[]0\\]?\\.${path}`), place: at(19) },
    ...{ expected, found: /./, next: MEND },
  })),
  {
    ...{ name: 'an unknown key', words: CHECK, change: ['    store: local\n', '    store: local\n    colour: red\n'] },
    ...{ type: 'ConfigInvalid', message: /has 1 problem\n {2}14:5 sources\.shop\.colour: unknown key;/, place: at(14) },
    ...{ expected: /^kind, connection|connection.*store/, found: '"colour"', next: MEND },
  },
  {
    ...{ name: 'a misspelt key', words: CHECK, change: ['shipEvery', 'shipEvry'] },
    ...{ type: 'ConfigInvalid', message: /wal\.shipEvry: unknown key, did you mean "shipEvery"\?/, place: at(14) },
    ...{ expected: '"shipEvery"', found: '"shipEvry"', next: MEND },
  },
  {
    ...{ name: 'a wrong type', words: CHECK, change: ['port: 5432', 'port: "5432"'] },
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.connection\.port: is not usable/, place: at(12) },
    ...{ expected: 'a number', found: '"5432"', next: MEND },
  },
  {
    ...{ name: 'an archive without a socket', words: CHECK },
    ...{ change: ['shipEvery: 5s', 'receive: archive, host: db1'] as [string, string] },
    ...{ type: 'ConfigInvalid', message: /shop\.wal: lacks "socket", which receive: archive needs/, place: at(14) },
    ...{ expected: 'an absolute path for the socket', found: 'nothing', next: MEND },
  },
  {
    ...{ name: 'a socket without an archive', words: CHECK },
    ...{ change: ['shipEvery: 5s', 'socket: /run/lifeboat.sock'] as [string, string] },
    ...{ type: 'ConfigInvalid', message: /shop\.wal\.socket: goes with receive: archive/, place: at(14) },
    ...{ expected: 'receive: archive', found: '"/run/lifeboat.sock"', next: MEND },
  },
  {
    ...{ name: 'commits that would wait for an archive', words: CHECK },
    ...{
      change: ['shipEvery: 5s', 'receive: archive, host: db1, socket: /run/s, synchronous: true'] as [string, string],
    },
    ...{ type: 'ConfigInvalid', message: /wal\.synchronous: commits can wait for a stream only/, place: at(14) },
    ...{ expected: 'receive: stream, or synchronous: false', found: 'true', next: MEND },
  },
  {
    ...{
      name: 'a socket whose path is too long',
      words: CHECK,
      change: ['shipEvery: 5s', `fetchSocket: /${'x'.repeat(100)}`],
    },
    ...{ type: 'ConfigInvalid', message: /wal\.fetchSocket: is not usable/, place: at(14) },
    ...{ expected: 'at most 90 letters', found: /xxx/, next: /./ },
  },
  {
    ...{ name: 'one socket for two things', words: CHECK },
    ...{
      change: ['shipEvery: 5s', 'receive: archive, host: db1, socket: /run/s, fetchSocket: /run/s'] as [string, string],
    },
    ...{ type: 'ConfigInvalid', message: /fetchSocket: is that of sources\.shop\.wal\.socket, too/, place: at(14) },
    ...{ expected: 'a socket of its own', found: '"/run/s"', next: MEND },
  },
  {
    ...{ name: 'a socket mode that is a number', words: CHECK, change: ['shipEvery: 5s', 'socketMode: "660"'] },
    ...{ type: 'ConfigInvalid', message: /wal\.socketMode: is not usable/, place: at(14) },
    ...{ expected: /permission bits in quotes/, found: '"660"', next: MEND },
  },
  {
    ...{ name: 'several servers that are no list', words: CHECK, change: ['host: 127.0.0.1', 'host: "db1,db2"'] },
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.connection\.host: is not usable/, place: at(12) },
    ...{ expected: /^one server, or a list of them/, found: '"db1,db2"', next: MEND },
  },
  {
    ...{ name: 'a server that is none', words: CHECK, change: ['host: 127.0.0.1', 'host: [db1, "db2:x"]'] },
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.connection\.host\.1: is not usable/, place: at(12) },
    ...{ expected: /^a name or address, with ":port"/, found: /./, next: MEND },
  },
  {
    ...{ name: 'a role that no server has', words: CHECK },
    change: ['    wal: {', '    backup: { from: replica }\n    wal: {'],
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.backup\.from: is unknown/, place: at(14) },
    ...{ expected: 'primary, standby or prefer-standby', found: '"replica"', next: MEND },
  },
  {
    ...{ name: 'a wait without a unit', words: CHECK },
    change: ['    wal: {', '    backup: { standbyWait: "300" }\n    wal: {'],
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.backup\.standbyWait/, place: at(14) },
    ...{ expected: /./, found: '"300"', next: MEND },
  },
  {
    ...{ name: 'a duration without a unit', words: CHECK, change: ['5s', '5'] },
    ...{ type: 'ConfigInvalid', message: /sources\.shop\.wal\.shipEvery/, place: at(14) },
    ...{ expected: 'a text', found: '5', next: MEND },
  },
  {
    ...{ name: 'a store that is not declared', words: CHECK, change: ['store: local', 'store: lokal'] },
    ...{ type: 'ConfigInvalid', message: /names a store that is not declared, did you mean "local"\?/, place: at(13) },
    ...{ expected: 'one of local', found: '"lokal"', next: MEND },
  },
  {
    ...{ name: 'a service on no source', words: CHECK, change: serving('source: shop', 'source: shoq') },
    ...{ type: 'ConfigInvalid', message: /web\.source: names a source that is not declared, did you mean "shop"\?/ },
    ...{ place: at(19), expected: 'one of shop', found: '"shoq"', next: MEND },
  },
  {
    ...{ name: 'a service without a switch of this name', words: CHECK, change: serving('[lb]', '[lc]') },
    ...{ type: 'ConfigInvalid', message: /web\.traffic\.0: names a switch that is not declared/, place: at(19) },
    ...{ expected: 'one of lb', found: '"lc"', next: MEND },
  },
  {
    ...{ name: 'a switch that is moved twice', words: CHECK, change: serving('[lb]', '[lb, lb]') },
    ...{ type: 'ConfigInvalid', message: /web\.traffic\.1: names a switch twice/, place: at(19) },
    ...{ expected: 'a switch of its own', found: '"lb"', next: MEND },
  },
  {
    ...{ name: 'a switch of no kind', words: CHECK, change: serving('kind: command', 'kind: comand') },
    ...{ type: 'ConfigInvalid', message: /switches\.lb\.kind: is unknown, did you mean "command"\?/, place: at(17) },
    ...{ expected: /command/, found: '"comand"', next: MEND },
  },
  ...[
    [RECORD + `db.example.com, ${TSIG}`, 'name', 'a name in `zone`', '"db.example.com"'],
    [RECORD + `db.example.org, ttl: 5m, ${TSIG}`, 'ttl', 'at most `maxTtl`', '"5m"'],
    [RECORD + `db.example.org, ttl: 500ms, ${TSIG}`, 'ttl', 'whole seconds, at most 86400s', '"500ms"'],
    [
      RECORD + `db.example.org, parked: nowhere, ${TSIG}`,
      'parked',
      /^an address or name as `type` has it/,
      '"nowhere"',
    ],
    [
      RECORD + 'db.example.org, key: { name: lifeboat, secret: abcd }',
      'key.secret',
      /^a reference, \{ env: NAME \}/,
      /./,
    ],
    [POOL + '[shop, shop]', 'databases', 'each entry once', 'a list of 2'],
    ['kind: http, url: "ftp://lb/web"', 'url', 'an http or https address', '"ftp://lb/web"'],
  ].map(([text, path, expected, found]): Row => ({
    ...{ name: `a switch whose ${String(path)} is ${String(found)}`, words: CHECK, change: switching(String(text)) },
    ...{ type: 'ConfigInvalid', message: new RegExp(`switches\\.lb\\.${String(path)}: `), place: at(17) },
    ...{ expected: expected as string | RegExp, found: found as string | RegExp, next: MEND },
  })),
  {
    ...{ name: 'steps that leave clients behind', words: CHECK, change: serving('[50, 100]', '[50, 90]') },
    ...{ type: 'ConfigInvalid', message: /services\.web\.steps: is not usable/, place: at(19) },
    ...{ expected: 'rising shares, the last of them 100', found: /./, next: MEND },
  },
  {
    ...{ name: 'an approval that nobody can give', words: CHECK, change: serving('of: 1', 'of: 2, from: [anna]') },
    ...{ type: 'ConfigInvalid', message: /services\.web\.approval: is not usable/, place: at(19) },
    ...{ expected: 'at least as many names in "from" as "of" wants', found: /./, next: MEND },
  },
  {
    ...{ name: 'an approval within no time', words: CHECK, change: serving('of: 1', 'within: 10s') },
    ...{ type: 'ConfigInvalid', message: /services\.web\.approval\.within: is not usable/, place: at(19) },
    ...{ expected: 'at least 1m, at most 30d', found: '"10s"', next: MEND },
  },
  ...noticeRows({ end: END, next: MEND, at }).map((row): Row => ({ ...row, words: CHECK })),
  {
    ...{ name: 'no file', words: CHECK, break: (dir) => rm(join(dir, 'lifeboat.yml')) },
    ...{ type: 'NotFound', message: /lifeboat\.yml does not exist$/, place: /lifeboat\.yml \(from --config\)$/ },
    ...{ expected: 'a lifeboat.yml', found: 'no file', next: /^lifeboat init/ },
  },
  {
    ...{ name: 'a missing secret', words: CHECK, change: ['LIFEBOAT_TEST_SECRET', 'LIFEBOAT_TEST_UNSET'] },
    ...{ type: 'ConfigInvalid', message: /LIFEBOAT_TEST_UNSET has no value/, place: at(12) },
    ...{
      expected: 'a value in LIFEBOAT_TEST_UNSET',
      found: 'unset',
      next: /export the variable.*lifeboat config check/,
    },
  },
  {
    ...{ name: 'a secret file that is not there', words: CHECK, change: ['env: LIFEBOAT_TEST_SECRET', 'file: no'] },
    ...{ type: 'ConfigInvalid', message: /\/no cannot be read/, place: at(12) },
    ...{ expected: 'a readable file', found: 'ENOENT', next: /write the secret file/ },
  },
  {
    ...{
      name: 'a key file that others can read',
      words: CHECK,
      break: (dir) => chmod(join(dir, 'keys/root.key'), 0o644),
    },
    ...{ type: 'Denied', message: /root\.key can be read by others/, place: /\/keys\/root\.key$/ },
    ...{ expected: 'mode 0600', found: 'mode 0644', next: /^chmod 600 .*root\.key$/ },
  },
  {
    ...{ name: 'a key file that is not there', words: CHECK, break: (dir) => rm(join(dir, 'keys/signing.key')) },
    ...{ type: 'NotFound', message: /signing\.key does not exist/, place: /\/keys\/signing\.key$/ },
    ...{ expected: 'a path that exists', found: 'ENOENT', next: /check the path/ },
  },
  {
    ...{ name: 'a key file of something else', words: CHECK },
    break: (dir) => writeFile(join(dir, 'keys/root.key'), 'secret', { mode: 0o600 }),
    ...{ type: 'ConfigInvalid', message: /root\.key is not usable/, place: /\/keys\/root\.key$/ },
    ...{ expected: /32 random bytes in base64/, found: 'something else', next: /restore the right key file/ },
  },
  {
    ...{
      name: 'a worker without its secret',
      words: ['worker'],
      change: ['LIFEBOAT_TEST_SECRET', 'LIFEBOAT_TEST_UNSET'],
    },
    ...{ type: 'ConfigInvalid', message: /LIFEBOAT_TEST_UNSET has no value/, place: at(12) },
    ...{ expected: 'a value in LIFEBOAT_TEST_UNSET', found: 'unset', next: /lifeboat config check/ },
  },
  {
    ...{ name: 'a worker without Temporal', words: ['worker'], isSlow: true },
    ...{ type: 'Unavailable', message: /temporal at 127\.0\.0\.1:\d+ is not reachable/, place: /127\.0\.0\.1:\d+/ },
    ...{ expected: 'a Temporal server', found: /./, next: /^start one: lifeboat dev/ },
  },
  {
    ...{ name: 'init over what is there', words: ['init'] },
    ...{ type: 'Precondition', message: /lifeboat\.yml exists/, place: /lifeboat\.yml$/ },
    ...{ expected: 'nothing there', found: 'a file', next: /lifeboat init --dir DIR/ },
  },
  {
    ...{ name: 'a path of the configuration that is not there', words: ['config', 'explain', 'sources.shop.wall'] },
    ...{ type: 'NotFound', message: /has nothing at sources\.shop\.wall/, place: 'sources.shop.wall' },
    ...{ expected: /did you mean sources\.shop\.wal\?/, found: 'sources.shop.wall', next: /sources\.shop\.wal$/ },
  },
  ...[
    ['5 minutes ago', /is not an absolute time/, /write it like/],
    ['2026-03-01', /is a day, not a moment/, /2026-03-01T00:00:00Z/],
    ['2026-03-01T12:00:00', /has no offset/, /write 2026-03-01T12:00:00Z for UTC/],
    ['2026-03-01T12:00:00 CET', /has no offset/, /2026-03-01T12:00:00\+01:00/],
    ['2026-02-30T12:00:00Z', /does not exist in the calendar/, /correct day, month or hour/],
  ].map(([time, message, next]): Row => ({
    ...{ name: `target time ${String(time)}`, words: ['restore', 'shop', '--to-time', String(time)] },
    ...{ type: 'ConfigInvalid', message: message as RegExp, place: 'target.time', expected: /./, found: /./ },
    next: next as RegExp,
  })),
  {
    ...{ name: 'a WAL position that is none', words: ['restore', 'shop', '--to-lsn', '16-B37'] },
    ...{ type: 'ConfigInvalid', message: '--to-lsn "16-B37" is not usable', place: '--to-lsn' },
    ...{ expected: /like 16\/B374D848/, found: '16-B37', next: 'lifeboat restore --help' },
  },
  {
    ...{ name: 'a relative folder', words: ['restore', 'shop', '--into', 'here'] },
    ...{ type: 'ConfigInvalid', message: '--into "here" is not usable', place: '--into' },
    ...{ expected: 'an absolute path on the host that restores', found: 'here', next: 'lifeboat restore --help' },
  },
  {
    ...{ name: 'a port out of range', words: ['restore', 'shop', '--port', '99999'] },
    ...{ type: 'ConfigInvalid', message: '--port "99999" is not usable', place: '--port' },
    ...{ expected: 'a port from 1 to 65535', found: '99999', next: 'lifeboat restore --help' },
  },
  {
    ...{ name: 'Temporal not reachable', words: ['backup', 'shop'] },
    ...{ type: 'Unavailable', message: /temporal at 127\.0\.0\.1:\d+ is not reachable/, place: /127\.0\.0\.1:\d+/ },
    ...{ expected: 'a Temporal server', found: /./, next: /^start one: lifeboat dev/ },
  },
];

test('bad input before anything is asked: one message with place, expected, found and next; nothing touched', async (t) => {
  process.env['LIFEBOAT_TEST_SECRET'] = 'secret';
  const address = `127.0.0.1:${await freePort()}`;
  for (const row of ROWS) {
    await t.test(row.name, async () => {
      await withTempDir(async (dir) => {
        await newKeyRing(join(dir, 'keys'));
        await mkdir(join(dir, 'vault'));
        const [from, to] = row.change ?? ['', ''];
        assert.ok(GOOD.includes(from), 'the good file has what is changed');
        await writeFile(join(dir, 'lifeboat.yml'), GOOD.replace('ADDRESS', address).replace(from, to));
        await row.break?.(dir);
        const before = await contentsOf(dir);
        const place = row.words[0] === 'init' ? ['--dir', dir] : ['--config', join(dir, 'lifeboat.yml')];
        const run = (more: string[]): ReturnType<typeof say> => say([...row.words, ...place, ...more], realTimeHost());
        await assertRefused(run, row);
        assert.deepEqual(changesOf(before, await contentsOf(dir)), []);
      });
    });
  }
});
