import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../../activities/io/postgres/failures.ts';
import { hbaLine, postgresFailure, sqlStateOf } from '../../activities/io/postgres/failures.ts';
import { checkServerVersion } from '../../activities/io/postgres/version.ts';
import { describeConnection, serverPlace, wishOf } from '../../activities/io/postgres/choose-server.ts';
import { connectionSchema, serverSchema, serversOf, tlsOf } from '../../activities/io/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { failure, failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';

const AT: Address = {
  ...{ host: 'db', port: 5432, user: 'lifeboat', database: 'shop' },
  ...{ replication: false, tls: true, from: '10.0.0.5' },
};
const WALSENDER: Address = { ...AT, replication: true, tls: false };

const cases: [string, Address, { code?: string; routine?: string }, string, RegExp][] = [
  ['wrong password', AT, { code: '28P01' }, 'Denied', /connection\.password/],
  ['no such role', AT, { code: '28000', routine: 'InitializeSessionUserId' }, 'Denied', /role "lifeboat"/],
  [
    'hba refusal',
    AT,
    { code: '28000', routine: 'ClientAuthentication' },
    'Denied',
    /"hostssl shop lifeboat 10\.0\.0\.5\/32 scram-sha-256" to pg_hba\.conf/,
  ],
  [
    'hba refusal of a walsender without TLS',
    WALSENDER,
    { code: '28000', routine: 'ClientAuthentication' },
    'Denied',
    /"host replication lifeboat 10\.0\.0\.5\/32 .*connection\.tls\.mode: require/,
  ],
  ['no REPLICATION', WALSENDER, { code: '42501' }, 'Denied', /alter role "lifeboat" replication/],
  ['no right in SQL', AT, { code: '42501' }, 'Denied', /grant role "lifeboat"/],
  ['no walsender left', WALSENDER, { code: '53300' }, 'Busy', /max_wal_senders/],
  ['no connection left', AT, { code: '53300' }, 'Busy', /max_connections/],
  ['no such database', AT, { code: '3D000' }, 'NotFound', /database "shop"/],
  ['starting up', AT, { code: '57P03' }, 'Unavailable', /again/],
  ['shut down', AT, { code: '57P01' }, 'Unavailable', /again/],
  ['statement timeout', AT, { code: '57014' }, 'Unavailable', /again/],
  ['protocol broke', AT, { code: '08006' }, 'Unavailable', /again/],
  ['disk full there', AT, { code: '53100' }, 'Unavailable', /log/],
  ['WAL gone', WALSENDER, { code: '58P01' }, 'NotFound', /base backup/],
  ['slot in use', WALSENDER, { code: '55006' }, 'Busy', /pg_stat_replication/],
  ['slot missing', WALSENDER, { code: '42704' }, 'NotFound', /doctor/],
  ['prerequisite', WALSENDER, { code: '55000' }, 'Precondition', /doctor/],
  ['feature missing', AT, { code: '0A000' }, 'Unsupported', /doctor/],
  ['damaged page', WALSENDER, { code: 'XX001' }, 'Integrity', /pg_amcheck/],
  ['anything the server decided', AT, { code: '42P01' }, 'Precondition', /log/],
  ['nobody listens', AT, { code: 'ECONNREFUSED' }, 'Unavailable', /connection\.port/],
  ['no such name', AT, { code: 'ENOTFOUND' }, 'Unavailable', /connection\.host/],
  ['timed out', AT, { code: 'ETIMEDOUT' }, 'Unavailable', /network/],
  ['broken pipe, five letters as a SQLSTATE', AT, { code: 'EPIPE' }, 'Unavailable', /network/],
  ['socket of somebody else', AT, { code: 'EACCES' }, 'Denied', /socket/],
  ['connection lost without a word', AT, {}, 'Unavailable', /network/],
  ['unknown issuer', AT, { code: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'Denied', /connection\.tls\.ca/],
  ['expired certificate', AT, { code: 'CERT_HAS_EXPIRED' }, 'Denied', /connection\.tls/],
  ['another name', AT, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'Denied', /connection\.host/],
  ['no common TLS version', AT, { code: 'EPROTO' }, 'Precondition', /ssl_min_protocol_version/],
];

for (const [name, at, fields, type, hint] of cases) {
  test(`${name} (${fields.code ?? 'no code'}) is ${type}`, () => {
    const cause = Object.assign(new Error('what the server said'), fields);
    const translated = postgresFailure(at, cause);
    assert.equal(failureTypeOf(translated), type);
    assert.match(failureFacts(translated).hint ?? '', hint);
    assert.match(translated.message, /db:5432.*what the server said/);
    assert.equal(postgresFailure(at, translated), translated, 'translated once');
  });
}

test('the SQLSTATE stays readable behind a failure; an errno is none', () => {
  const wrapped = failure('Busy', 'outer', {
    cause: postgresFailure(AT, Object.assign(new Error('x'), { code: '55006' })),
  });
  assert.equal(sqlStateOf(wrapped), '55006');
  assert.equal(sqlStateOf(postgresFailure(AT, Object.assign(new Error('x'), { code: 'EPIPE' }))), undefined);
});

test('the line for pg_hba.conf fits the way we come', () => {
  assert.equal(hbaLine({ ...AT, host: '/run/postgresql' }), 'local shop lifeboat scram-sha-256');
  assert.equal(hbaLine({ ...AT, from: 'fe80::1', tls: false }), 'host shop lifeboat fe80::1/128 scram-sha-256');
});

test('versions outside of 15 to 18 are refused with both named, newer ones unless allowed', () => {
  for (const found of ['14.22', '9.6.24', '19beta1', ''])
    assert.throws(
      () => checkServerVersion(AT, found, false),
      (error) => failureTypeOf(error) === 'Unsupported' && failureFacts(error).expected === 'PostgreSQL 15 to 18',
    );
  for (const found of ['15.18 (Debian 15.18-1)', '18beta1']) checkServerVersion(AT, found, false);
  checkServerVersion(AT, '19.0', true);
  assert.throws(() => checkServerVersion(AT, '14.0', true));
});

test('TLS is never a matter of luck: off on loopback and sockets, on anywhere else, and no fallback', () => {
  const modeFor = (host: string): string => tlsOf(serverSchema.parse({ host, user: 'u' })).mode;
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost', '/run/postgresql'])
    assert.equal(modeFor(host), 'disable');
  for (const host of ['db', '10.0.0.1', '127.example.org', 'localhost.example.org'])
    assert.equal(modeFor(host), 'require');
});

const CONNECTION = { host: 'db', user: 'u' };

test('several servers: each with its own port or the common one, and none is mistaken for another form', () => {
  const options = connectionSchema.parse({
    ...CONNECTION,
    port: 6000,
    host: ['db1', 'db2:5433', '::1', '[::1]:7', '/s'],
  });
  const places = serversOf(options).map(serverPlace);
  assert.deepEqual(places, ['db1:6000', 'db2:5433', '[::1]:6000', '[::1]:7', '/s:6000']);
  assert.equal(describeConnection(options), 'db1:6000, db2:5433, [::1]:6000, [::1]:7, /s:6000/postgres as u');
  assert.equal(wishOf(options), 'primary');
  assert.equal(wishOf(connectionSchema.parse(CONNECTION)), undefined);
});

test('options have their defaults, in milliseconds', () => {
  const options = postgresSchema.parse({ connection: CONNECTION });
  assert.equal(options.connection.connectTimeout, 10_000);
  assert.equal(options.connection.port, 5432);
  assert.equal(options.restore.startTimeout, 300_000);
  assert.deepEqual(options.probes, []);
  const { settings } = postgresSchema.parse({
    connection: CONNECTION,
    restore: { settings: { work_mem: '64MB', max_connections: 5, jit: false } },
  }).restore;
  assert.deepEqual(settings, { work_mem: '64MB', max_connections: '5', jit: 'false' });
});

const bad: [string, Record<string, unknown>][] = [
  ['an unknown key', { connection: { ...CONNECTION, hots: 'x' } }],
  ['several servers that are no list', { connection: { ...CONNECTION, host: 'db1,db2' } }],
  ['a list of no server', { connection: { ...CONNECTION, host: [] } }],
  ['a server with a port that is none', { connection: { ...CONNECTION, host: ['db1:99999'] } }],
  ['a server with a user', { connection: { ...CONNECTION, host: ['me@db1'] } }],
  ['a duration without unit', { connection: { ...CONNECTION, connectTimeout: '10' } }],
  ['a password in the file', { connection: { ...CONNECTION, password: 'secret' } }],
  ['an unknown TLS mode', { connection: { ...CONNECTION, tls: { mode: 'prefer' } } }],
  ['a certificate without its key', { connection: { ...CONNECTION, tls: { mode: 'require', cert: '/c' } } }],
  ['a ca that nobody looks at', { connection: { ...CONNECTION, tls: { mode: 'require', ca: '/c' } } }],
  ['a probe without expectation', { connection: CONNECTION, probes: [{ sql: 'select 1' }] }],
  ['a probe with two', { connection: CONNECTION, probes: [{ sql: 'select 1', equals: 1, atLeast: 1 }] }],
];

for (const [name, options] of bad) {
  test(`options refuse ${name}`, () => {
    assert.equal(postgresSchema.safeParse(options).success, false);
  });
}
