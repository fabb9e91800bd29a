import assert from 'node:assert/strict';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { after, before, suite, test } from 'node:test';
import type pg from 'pg';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { Traffic } from '../../workflows/model/traffic.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { ConsoleFaults } from '../support/console-faults.ts';
import { startConsoleFaults } from '../support/console-faults.ts';
import type { Pooler, PoolerOptions } from '../support/pooler.ts';
import { startPooler } from '../support/pooler.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import { switchContract } from '../support/switch-contract.ts';
import { until } from '../support/system-until.ts';

const type = (wanted: string) => (error: unknown) => {
  assert.equal(failureTypeOf(error), wanted, String(error));
  return true;
};

suite('switch pgbouncer', () => {
  let server: TestPostgres;
  let dir: string;
  let home: Traffic;
  let away: Traffic;
  const all: AsyncDisposable[] = [];
  let over: () => void;
  let ended: Promise<unknown>;
  // One server with two addresses: which of them a client has come to it says itself.
  before(async () => {
    await new Promise<void>((ready, failed) => {
      const use = (place: string, running: TestPostgres): Promise<void> => {
        [dir, server] = [place, running];
        [home, away] = ['127.0.0.1', '127.0.0.2'].map((host) => ({ [`${host}:${running.port}`]: 100 })) as [
          Traffic,
          Traffic,
        ];
        ready();
        return new Promise((resolve) => (over = resolve));
      };
      const settings = { listen_addresses: '127.0.0.1,127.0.0.2' };
      const hba = 'local all all trust\nhost all all 127.0.0.0/8 trust\n';
      ended = withServerDir((place) => withPostgres({ settings, hba }, (running) => use(place, running)));
      ended.catch(failed);
    });
    await server.sql('create table orders (id int primary key)');
  });
  after(async () => {
    for (const each of all.reverse()) await each[Symbol.asyncDispose]();
    over?.();
    await ended;
  });

  const entryOf = (name: string): string => `${name} = host=127.0.0.1 port=${server.port} dbname=postgres`;
  const poolerWith = async (more: Partial<PoolerOptions> = {}): Promise<Pooler> => {
    const pooler = await startPooler(dir, { entries: [entryOf('shop')], ...more });
    all.push(pooler);
    return pooler;
  };
  const openAt = (pooler: Pooler, more: Record<string, unknown> = {}, signal?: AbortSignal): SwitchSession =>
    findSwitch('pgbouncer').open('pool', { ...pooler.options, ...more }, plainRun(signal ? { signal } : {}));
  const reloads = async (pooler: Pooler): Promise<string[]> =>
    (await pooler.log()).filter((line) => line.includes('RELOAD command issued'));
  const via = ({ port }: ConsoleFaults): Record<string, unknown> => ({
    console: { host: '127.0.0.1', port, user: 'postgres' },
  });

  switchContract('pgbouncer', async () => {
    const pooler = await poolerWith();
    const faults = await startConsoleFaults(pooler.port);
    all.push(faults);
    return {
      ...{ home, away, changes: () => reloads(pooler) },
      open: ({ signal, timeout } = {}) =>
        openAt(pooler, { ...via(faults), ...(timeout === undefined ? {} : { timeout }) }, signal),
      fail: (fault) => Promise.resolve(faults.fail(fault)),
    };
  });

  const addressIn = async (client: pg.Client): Promise<string> => {
    const { rows } = await client.query<{ at: string }>(
      `select host(inet_server_addr()) || ':' || inet_server_port() as at`,
    );
    return rows[0]?.at ?? '';
  };

  test('clients wait while it is stopped, lose nothing, and go on at the other server', async () => {
    const pooler = await poolerWith();
    await using session = openAt(pooler);
    const client = await pooler.connect();
    let stop = false;
    let acknowledged = 0;
    const writing = (async () => {
      for (let id = 1; !stop; id++) {
        await client.query('insert into orders values ($1)', [id]);
        acknowledged = id;
      }
    })();
    await until('something is written', () => acknowledged > 20 || undefined);
    await session.move({ from: home, to: STOPPED, token: 2 });
    const confirmed = await session.confirm(STOPPED);
    assert.deepEqual(confirmed.ok, true);
    assert.match(confirmed.found, /^stopped: no connection to a server, [01] clients? waits?$/);
    const before = acknowledged;
    const count = async (): Promise<number> => Number((await server.sql('select count(*) as n from orders'))[0]?.['n']);
    assert.equal(await count(), before);
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 2 });
    await session.move({ from: STOPPED, to: away, token: 2 });
    await until('the client goes on', () => acknowledged > before || undefined);
    stop = true;
    await writing;
    assert.equal(await count(), acknowledged);
    assert.equal(await addressIn(client), Object.keys(away)[0]);
    const { ok, found } = await session.confirm(away);
    assert.deepEqual({ ok, found }, { ok: true, found: `shop is answered by ${Object.keys(away)[0]}` });
    await client.end();
    await server.sql('delete from orders');
  });

  test('a transaction that does not end: its client is cut off after the drain, or nothing is moved', async () => {
    const pooler = await poolerWith();
    const client = await pooler.connect();
    await client.query('begin');
    await client.query('insert into orders values (1)');
    await using patient = openAt(pooler, { drain: '100ms', afterDrain: 'give-up' });
    await assert.rejects(patient.move({ from: home, to: STOPPED, token: 2 }), type('Busy'));
    assert.deepEqual(await patient.where(), { traffic: home, token: 2 });
    await client.query('insert into orders values (2)');
    assert.deepEqual(await reloads(pooler), []);
    await using session = openAt(pooler, { drain: '100ms' });
    await session.move({ from: home, to: STOPPED, token: 3 });
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 3 });
    await assert.rejects(client.query('commit'));
    assert.deepEqual(await server.sql('select * from orders'), []);
    await client.end().catch(() => undefined);
  });

  test('a pooler that dies while it is stopped comes back stopped, whatever it forgot', async () => {
    const pooler = await poolerWith();
    await using session = openAt(pooler);
    await session.move({ from: home, to: STOPPED, token: 2 });
    await pooler.kill();
    await assert.rejects(session.where(), type('Unavailable'));
    await pooler.start();
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 2 });
    assert.equal((await session.confirm(STOPPED)).ok, true);
    const late = pooler.connect().catch(() => undefined);
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 2 });
    await session.move({ from: STOPPED, to: home, token: 2 });
    assert.equal((await session.confirm(home)).ok, true);
    await (await late)?.end();
  });

  for (const word of ['PAUSE', 'RELOAD', 'RECONNECT', 'RESUME']) {
    test(`a run that dies before ${word} leaves a move half made; the next one makes it whole, or takes it back`, async () => {
      const entries = ['shop', 'crm'].map(entryOf);
      const pooler = await poolerWith({ entries });
      const faults = await startConsoleFaults(pooler.port);
      all.push(faults);
      const more = { databases: ['shop', 'crm'], ...via(faults) };
      await using session = openAt(pooler, { ...more, drain: '300ms', afterDrain: 'give-up' });
      faults.fail('cut', word);
      await assert.rejects(session.move({ from: home, to: away, token: 2 }));
      // What a worker that was killed leaves behind has no last word: the file says what was begun.
      const { traffic } = await session.where();
      assert.deepEqual(traffic, home);
      await session.move({ from: home, to: away, token: 2 });
      assert.equal((await session.confirm(away)).ok, true);
      assert.deepEqual(await session.where(), { traffic: away, token: 2 });
      faults.fail('cut', word);
      await assert.rejects(session.move({ from: away, to: home, token: 2 }));
      await session.move({ from: away, to: away, token: 3 });
      assert.deepEqual(await session.where(), { traffic: away, token: 3 });
      assert.equal((await session.confirm(away)).ok, true);
    });
  }

  test('the file keeps what is in it: other entries, other options, comments, owner and mode', async () => {
    const entries = [
      `shop = dbname='postgres' host=127.0.0.1 pool_size=7 port=${server.port} connect_query='select ''host=x port=1'''`,
      '; host = is said above',
      'other = host=10.9.9.9 port=5999',
      'crm = host = 127.0.0.1 port = 5432',
    ];
    const pooler = await poolerWith({ entries });
    await chmod(pooler.file, 0o640);
    const before = await stat(pooler.file);
    await using session = openAt(pooler);
    await session.move({ from: home, to: away, token: 2 });
    const [, ...rest] = (await readFile(pooler.file, 'utf8')).split('\n');
    const led = entries[0]?.replace('127.0.0.1', '127.0.0.2');
    assert.deepEqual(rest, ['; of the users', '[databases]', led, ...entries.slice(1), '']);
    const after = await stat(pooler.file);
    assert.deepEqual([after.uid, after.gid, after.mode], [before.uid, before.gid, before.mode]);
    assert.equal(after.uid, serverUser().uid ?? process.getuid?.());
  });

  test('check: rights, file and a query through the pooler, with nothing changed', async () => {
    const pooler = await poolerWith({ settings: { query_wait_timeout: '120' } });
    await using session = openAt(pooler);
    const text = await readFile(pooler.file, 'utf8');
    const checks = (await session.check?.()) ?? [];
    assert.deepEqual(checks.map(({ ok }) => ok), checks.map(() => true)); // prettier-ignore
    assert.deepEqual(
      checks.map(({ name }) => name),
      [
        'file of the entries',
        'postgres may pause and reload',
        'the pooler follows the file',
        'clients wait while traffic is stopped',
        'shop through the pooler',
      ],
    );
    assert.match(checks[3]?.hint ?? '', /after 120 s .*query_wait_timeout = 0/);
    assert.equal(await readFile(pooler.file, 'utf8'), text);
  });

  test('check: who may only look, and a file that the pooler does not follow', async () => {
    const pooler = await poolerWith();
    await using session = openAt(pooler);
    const text = await readFile(pooler.file, 'utf8');
    const console = { host: '127.0.0.1', port: pooler.port, user: 'viewer' };
    await using viewer = openAt(pooler, { console, through: { user: 'postgres' } });
    const [, rights] = (await viewer.check?.()) ?? [];
    assert.deepEqual([rights?.ok, rights?.found], [false, 'admin_users = postgres']);
    await writeFile(pooler.file, text.replace('127.0.0.1', '127.0.0.2'));
    const [, , follows] = (await session.check?.()) ?? [];
    assert.deepEqual([follows?.ok, follows?.found], [false, `shop leads to 127.0.0.1:${server.port}`]);
  });

  interface Wrong {
    name: string;
    pooler?: Partial<PoolerOptions>;
    more?: Record<string, unknown>;
    console?: Record<string, unknown>;
    what: (session: SwitchSession) => Promise<unknown>;
    type: string;
    says: RegExp;
    found: RegExp;
  }
  const where = (session: SwitchSession): Promise<unknown> => session.where();
  const wrongs: Wrong[] = [
    {
      ...{ name: 'a user who is not let in', console: { user: 'nobody' }, what: where, type: 'Denied' },
      ...{ says: /nobody/, found: /./ },
    },
    {
      ...{ name: 'an entry that the file does not have', more: { databases: ['crm'] }, what: where },
      ...{ type: 'ConfigInvalid', says: /does not say where crm leads/, found: /^entries shop$/ },
    },
    {
      ...{ name: 'a file that is not there', more: { file: '/nowhere/entries.ini' }, what: where, type: 'NotFound' },
      ...{ says: /entries\.ini does not exist/, found: /ENOENT/ },
    },
    {
      ...{ name: 'a pooler that is not there', console: { port: 1 }, what: where, type: 'Unavailable' },
      ...{ says: /ECONNREFUSED/, found: /ECONNREFUSED/ },
    },
    {
      ...{
        name: 'a share of the traffic',
        type: 'ConfigInvalid',
        says: /all of its clients to one server/,
        found: /^50 %/,
      },
      what: (session: SwitchSession) => session.move({ from: home, to: { '10.0.0.9:5432': 50 }, token: 1 }),
    },
  ];
  for (const wrong of wrongs) {
    test(`refused, with nothing changed: ${wrong.name}`, async () => {
      const pooler = await poolerWith(wrong.pooler);
      const text = await readFile(pooler.file, 'utf8');
      const console = { host: '127.0.0.1', port: pooler.port, user: 'postgres', ...wrong.console };
      await using session = openAt(pooler, { console, ...wrong.more });
      await assert.rejects(wrong.what(session), (error: unknown) => {
        assert.equal(failureTypeOf(error), wrong.type, String(error));
        assert.match(findFailure(error)?.message ?? '', wrong.says);
        const facts = failureFacts(error);
        assert.match(facts.found ?? '', wrong.found);
        assert.ok(facts.place && facts.expected && facts.hint, JSON.stringify(facts));
        return true;
      });
      assert.equal(await readFile(pooler.file, 'utf8'), text);
      assert.deepEqual(await reloads(pooler), []);
    });
  }

  test('a pooler that includes another file: clients go on, and the move says which line is missing', async () => {
    const pooler = await poolerWith({ isDeaf: true });
    await using session = openAt(pooler);
    await assert.rejects(session.move({ from: home, to: away, token: 1 }), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'ConfigInvalid');
      assert.match(failureFacts(error).hint ?? '', /write %include .*entries\.ini into pgbouncer\.ini/);
      return true;
    });
    assert.deepEqual(await session.where(), { traffic: home, token: 1 });
    const client = await pooler.connect();
    assert.equal(await addressIn(client), Object.keys(home)[0]);
    await client.end();
  });
});
