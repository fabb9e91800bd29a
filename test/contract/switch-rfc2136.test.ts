import assert from 'node:assert/strict';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Deps } from '../../activities/deps.ts';
import { systemClock } from '../../activities/io/clock.ts';
import type { Run } from '../../activities/io/run.ts';
import { plainRun, silentLog } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { moveTraffic } from '../../activities/traffic.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { Confirmation, Traffic } from '../../workflows/model/traffic.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { DnsFaults } from '../support/dns-faults.ts';
import { startDnsFaults } from '../support/dns-faults.ts';
import type { NameServer } from '../support/name-server.ts';
import { CLOSED_ZONE, KEY, READER, resolverAt, startNameServer, ZONE } from '../support/name-server.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { serverUser } from '../support/postgres.ts';
import { switchContract } from '../support/switch-contract.ts';

const A = { '10.0.0.7:5432': 100 };
const B = { '10.0.0.9:5432': 100 };

process.env['LIFEBOAT_TEST_TSIG'] = KEY.secret;
process.env['LIFEBOAT_TEST_TSIG_READER'] = READER.secret;
process.env['LIFEBOAT_TEST_TSIG_WRONG'] = Buffer.from('another secret altogether').toString('base64');

const type = (wanted: string) => (error: unknown) => {
  assert.equal(failureTypeOf(error), wanted, String(error));
  return true;
};

suite('switch rfc2136', () => {
  let dir: string;
  let server: NameServer;
  let faults: DnsFaults;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lifeboat-dns-'));
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) await chown(dir, uid, gid);
    await chmod(dir, 0o755);
    server = await startNameServer(dir);
    faults = await startDnsFaults(server.port);
  });
  after(async () => {
    await faults?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });

  const optionsFor = (name: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    ...{ server: `127.0.0.1:${server.port}`, zone: ZONE, name: `${name}.${ZONE}`, ttl: '2s' },
    key: { name: KEY.name, secret: { env: 'LIFEBOAT_TEST_TSIG' } },
    ...{ resolvers: [`127.0.0.1:${server.resolverPort}`], ...more },
  });
  const openAt = (name: string, more: Record<string, unknown> = {}, run: Partial<Run> = {}): SwitchSession =>
    findSwitch('rfc2136').open('dns', optionsFor(name, more), plainRun(run));

  let used = { a: 0, s: 0, c: 0, v: 0 };
  const nextName = (start: keyof typeof used): string => {
    used = { ...used, [start]: used[start] + 1 };
    return `${start}${used[start]}`;
  };
  const changesOf = async (name: string, type: string): Promise<string[]> =>
    (await server.updates()).filter((line) => line.includes(`deleting rrset at '${name}.${ZONE}' ${type}`));

  const place = (start: keyof typeof used, sides: { home: Traffic; away: Traffic; type: string }) => () => {
    const name = nextName(start);
    const { home, away, type } = sides;
    return Promise.resolve({
      ...{ home, away },
      open: ({ signal, timeout }: { signal?: AbortSignal; timeout?: string } = {}) =>
        openAt(
          name,
          { type, server: `127.0.0.1:${faults.port}`, ...(timeout === undefined ? {} : { timeout }) },
          signal ? { signal } : {},
        ),
      fail: (fault: Parameters<DnsFaults['fail']>[0]) => Promise.resolve(faults.fail(fault)),
      changes: () => changesOf(name, type),
    });
  };

  switchContract('rfc2136', place('a', { home: A, away: B, type: 'A' }), 'A');
  const service = { home: { [`db7.${ZONE}:5432`]: 100 }, away: { [`db9.${ZONE}:5433`]: 100 }, type: 'SRV' };
  switchContract('rfc2136', place('s', service), 'SRV');

  test('what a move leaves is what a program of others finds: record, its time to live, and a token beside it', async () => {
    const name = nextName('a');
    await using session = openAt(name);
    await session.move({ from: A, to: B, token: 3 });
    assert.deepEqual(await server.ask.resolve4(`${name}.${ZONE}`, { ttl: true }), [{ address: '10.0.0.9', ttl: 2 }]);
    const [[mark = ''] = []] = await server.ask.resolveTxt(`_lifeboat.${name}.${ZONE}`);
    assert.match(mark, /^lifeboat token=3 move=[0-9a-f]{16}$/);
    await session.move({ from: B, to: STOPPED, token: 3 });
    await assert.rejects(server.ask.resolve4(`${name}.${ZONE}`), { code: 'ENODATA' });
  });

  test('by datagram, by the other algorithm, with a parking address, a CNAME, an AAAA, an SRV, and several addresses', async () => {
    const name = nextName('a');
    await using parked = openAt(name, { transport: 'udp', parked: '192.0.2.1', txtName: `token-${name}.${ZONE}` });
    await parked.move({ from: A, to: STOPPED, token: 2 });
    assert.deepEqual(await parked.where(), { traffic: STOPPED, token: 2 });
    assert.deepEqual(await server.ask.resolve4(`${name}.${ZONE}`), ['192.0.2.1']);
    assert.equal((await server.ask.resolveTxt(`token-${name}.${ZONE}`)).length, 1);
    await parked.move({ from: STOPPED, to: B, token: 2 });
    assert.deepEqual(await server.ask.resolve4(`${name}.${ZONE}`), ['10.0.0.9']);

    const reader = {
      key: { name: READER.name, algorithm: READER.algorithm, secret: { env: 'LIFEBOAT_TEST_TSIG_READER' } },
    };
    await using read = openAt('two', { ...reader, transport: 'udp' });
    assert.deepEqual((await read.where()).traffic, { '10.0.0.7:5432': 50, '10.0.0.8:5432': 50 });

    const alias = nextName('c');
    await using cname = openAt(alias, { type: 'CNAME' });
    await cname.move({ from: { [`db7.${ZONE}:5432`]: 100 }, to: { [`db9.${ZONE}:5432`]: 100 }, token: 1 });
    assert.deepEqual(await server.ask.resolveCname(`${alias}.${ZONE}`), [`db9.${ZONE}`]);

    const six = nextName('v');
    await using aaaa = openAt(six, { type: 'AAAA' });
    await aaaa.move({ from: { '[fd00::7]:5432': 100 }, to: { '[fd00::1:0:9]:5432': 100 }, token: 1 });
    assert.deepEqual(await server.ask.resolve6(`${six}.${ZONE}`), ['fd00::1:0:9']);

    const srv = nextName('s');
    await using services = openAt(srv, { type: 'SRV' });
    const shared = { [`db7.${ZONE}:5432`]: 25, [`db9.${ZONE}:5433`]: 75 };
    await services.move({ from: service.home, to: shared, token: 1 });
    assert.deepEqual((await services.where()).traffic, shared);
    const found = await server.ask.resolveSrv(`${srv}.${ZONE}`);
    const weights = found.map(({ name: target, port, weight }) => `${target}:${port} ${weight}`).sort();
    assert.deepEqual(weights, [`db7.${ZONE}:5432 2500`, `db9.${ZONE}:5433 7500`]);
  });

  test('a run that is over is refused by the server itself, however late its update comes', async () => {
    const name = nextName('a');
    await using newer = openAt(name);
    await using late = openAt(name, { server: `127.0.0.1:${faults.port}` });
    // A newer run comes between its look and its update, and leaves the record as it was.
    faults.meanwhile(async () => {
      await newer.move({ from: A, to: B, token: 9 });
      await newer.move({ from: B, to: A, token: 9 });
    });
    await assert.rejects(late.move({ from: A, to: STOPPED, token: 8 }), type('Precondition'));
    assert.deepEqual(await newer.where(), { traffic: A, token: 9 });
    const refused = (await server.updates()).filter((line) => line.includes('prerequisite not satisfied'));
    assert.ok(
      refused.some((line) => line.includes(`${name}.${ZONE}`)),
      refused.join('\n'),
    );
  });

  test('resolvers: how many agree, who is silent, and how long an old answer lasts; until all of them agree', async () => {
    const name = nextName('a');
    const silent = await freePort();
    await using session = openAt(name, {
      timeout: '500ms',
      resolvers: [`127.0.0.1:${server.port}`, `127.0.0.1:${server.resolverPort}`, `127.0.0.1:${silent}`],
    });
    assert.deepEqual(await resolverAt(server.resolverPort).resolve4(`${name}.${ZONE}`), ['10.0.0.7']);
    await session.move({ from: A, to: B, token: 1 });
    for (;;) {
      const { ok, found, withinMs } = await session.confirm(B);
      if (ok) {
        assert.equal(found, `2 of 3 resolvers say 10.0.0.9:5432; 127.0.0.1:${silent}: ECONNREFUSED`);
        break;
      }
      assert.match(found, /^1 of 3 .*says 10\.0\.0\.7:5432 for [0-2] s more/);
      assert.ok(withinMs !== undefined && withinMs <= 3000, `${withinMs} ms`);
    }
    const lone = await openAt(name, { resolvers: [`127.0.0.1:${silent}`] }).confirm(B);
    assert.deepEqual(lone, {
      ok: false,
      found: `0 of 1 resolvers say 10.0.0.9:5432; 127.0.0.1:${silent}: ECONNREFUSED`,
      have: [],
    });
  });

  test('a resolver whose name nobody knows is one that is silent', async () => {
    await using session = openAt(nextName('a'), { timeout: '500ms', resolvers: ['nowhere.invalid'] });
    const { ok, found } = await session.confirm(A);
    assert.equal(ok, false);
    assert.match(found, /nowhere\.invalid.*(ENOTFOUND|EAI_AGAIN|no answer)/);
  });

  test('a move is waited for as long as a resolver says that it remembers the old answer', async () => {
    const name = nextName('a');
    assert.deepEqual(await resolverAt(server.resolverPort).resolve4(`${name}.${ZONE}`), ['10.0.0.7']);
    const startMs = systemClock.nowMs();
    let looks = 0;
    // Each look takes a millisecond of its time, so that the usual number of them is over long before the cache is.
    const clock = { nowMs: () => startMs + looks, sleep: () => Promise.resolve(void (looks += 1)) };
    const config = { path: 'lifeboat.yml', switches: { dns: { kind: 'rfc2136', options: optionsFor(name) } } };
    const deps = { config, clock, host: 'here', log: silentLog } as unknown as Deps;
    const order = { source: 'shop', name: 'dns', from: A, to: B, token: 1 };
    const confirmed = (await new MockActivityEnvironment().run(() => moveTraffic(deps, order))) as Confirmation;
    const resolver = `127.0.0.1:${server.resolverPort}`;
    assert.deepEqual([confirmed.ok, confirmed.have], [true, [resolver]]);
    const [, afterMs] = /^1 of 1 resolvers say 10\.0\.0\.9:5432 \(.* after (\d+)ms\)$/.exec(confirmed.found) ?? [];
    assert.ok(Number(afterMs) > 0 && Number(afterMs) <= looks, confirmed.found);
  });

  test('check: everything is right, and nothing is changed by looking', async () => {
    const name = nextName('a');
    await using session = openAt(name);
    const before = await server.ask.resolveSoa(ZONE);
    const checks = (await session.check?.()) ?? [];
    assert.deepEqual(
      checks.map((check) => `${check.name}: ${check.ok}, ${check.found}`),
      [
        'time to live of at most 120 s: true, 2 s',
        'time to live of "there is none" of at most 120 s: true, 1 s',
        `right to update: true, key lifeboat may change ${name}.${ZONE}`,
        'resolvers answer: true, 1 of 1',
      ],
    );
    assert.equal((await server.ask.resolveSoa(ZONE)).serial, before.serial);
    await using stopped = openAt(`absent-${name}`);
    assert.ok(((await stopped.check?.()) ?? []).every(({ ok }) => ok));
  });

  test('check: a time to live that is too long is told, with the limit', async () => {
    await using strict = openAt(nextName('a'), { maxTtl: '1s', ttl: '1s' });
    const [ttl] = (await strict.check?.()) ?? [];
    assert.deepEqual({ ok: ttl?.ok, found: ttl?.found }, { ok: false, found: '2 s' });
    assert.match(ttl?.hint ?? '', /lower the TTL of/);
  });

  interface Wrong {
    name: string;
    more?: Record<string, unknown>;
    run?: Partial<Run>;
    what: (session: SwitchSession) => Promise<unknown>;
    type: string;
    says: RegExp;
    found: RegExp;
  }
  const where = (session: SwitchSession): Promise<unknown> => session.where();
  const key = { name: KEY.name, secret: { env: 'LIFEBOAT_TEST_TSIG' } };
  const wrongs: Wrong[] = [
    {
      ...{ name: 'a key that the server does not know', more: { key: { ...key, name: 'nobody' } }, what: where },
      ...{ type: 'Denied', says: /does not know key nobody/, found: /BADKEY/ },
    },
    {
      ...{ name: 'a secret that is another one', what: where, type: 'Denied', found: /BADSIG/ },
      ...{
        more: { key: { ...key, secret: { env: 'LIFEBOAT_TEST_TSIG_WRONG' } } },
        says: /another secret for key lifeboat/,
      },
    },
    {
      ...{ name: 'a clock that is an hour behind', what: where, type: 'Precondition' },
      run: { clock: { ...systemClock, nowMs: () => systemClock.nowMs() - 3_600_000 } },
      ...{ says: /has another time than this host: 3[56]\d\d s ahead of us/, found: /^3[56]\d\d s ahead of us$/ },
    },
    {
      ...{ name: 'a zone that is of another server', more: { zone: 'test', name: 'db.example.test' }, what: where },
      ...{ type: 'Denied', says: /refuses this to key lifeboat/, found: /REFUSED/ },
    },
    {
      ...{
        name: 'a zone that may not be updated',
        more: { zone: CLOSED_ZONE, name: `db.${CLOSED_ZONE}` },
        type: 'Denied',
      },
      what: (session: SwitchSession) => session.move({ from: A, to: B, token: 1 }),
      ...{ says: /refuses this to key lifeboat/, found: /REFUSED/ },
    },
    {
      ...{ name: 'a host that does not exist', more: { server: 'nowhere.invalid' }, what: where, type: 'Unavailable' },
      ...{ says: /nowhere\.invalid:53 does not answer/, found: /ENOTFOUND|EAI_AGAIN/ },
    },
    {
      ...{ name: 'records of several priorities', more: { type: 'SRV', name: `ranks.${ZONE}` }, what: where },
      ...{ type: 'Unsupported', says: /several priorities/, found: /0 and 9|9 and 0/ },
    },
    {
      ...{ name: 'a name that is an alias', more: { name: `c4.${ZONE}` }, what: where, type: 'ConfigInvalid' },
      ...{ says: /is a CNAME/, found: /CNAME/ },
    },
    {
      ...{ name: 'a token name that somebody else has', more: { name: `taken.${ZONE}` }, what: where },
      ...{ type: 'ConfigInvalid', says: /TXT records of somebody else/, found: /spf1/ },
    },
    {
      ...{ name: 'an address whose port no record can say', type: 'ConfigInvalid' },
      what: (session: SwitchSession) => session.move({ from: A, to: { '10.0.0.9:5433': 100 }, token: 1 }),
      ...{ says: /a record of type A cannot lead to 10\.0\.0\.9:5433/, found: /100 %/ },
    },
  ];
  for (const wrong of wrongs) {
    test(`refused, with nothing changed: ${wrong.name}`, async () => {
      const count = (await server.updates()).filter((line) => line.includes('adding an RR')).length;
      await using session = openAt('a40', wrong.more, wrong.run);
      await assert.rejects(wrong.what(session), (error: unknown) => {
        assert.equal(failureTypeOf(error), wrong.type, String(error));
        assert.match(findFailure(error)?.message ?? '', wrong.says);
        const facts = failureFacts(error);
        assert.match(facts.found ?? '', wrong.found);
        assert.ok(facts.place && facts.expected && facts.hint, JSON.stringify(facts));
        return true;
      });
      assert.equal((await server.updates()).filter((line) => line.includes('adding an RR')).length, count);
    });
  }
});
