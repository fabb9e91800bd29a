import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { runCommand } from '../../activities/io/run-command.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { withLifeboat } from '../support/lifeboat.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { serverUser } from '../support/postgres.ts';

const README = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const START = section('## Your own database', '## One database, one table, rows');
/** What is said of servers that are run in other ways. */
const OTHERS = section('## No acknowledged commit is lost', '## Retention');
const TEMPORAL = section('## From Temporal itself', '## Limits');
const POINT = 'shop/20260301T020000Z-1a2b3c4d-1';
const PASSWORD = 'a password of the test';

function section(from: string, to: string): string {
  return README.slice(README.indexOf(`${from}\n`), README.indexOf(`${to}\n`));
}

/** Content of the fenced blocks of one language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1] ?? '');
}

/** Lines of a shell that begin with a program, split as the shell would; continued lines are one. */
function commands(text: string, program: string): string[][] {
  const lines = blocks(text, 'sh').flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));
  const ours = lines.filter((line) => line.startsWith(`${program} `));
  return ours.map((line) =>
    [...line.matchAll(/'([^']*)'|(\S+)/g)].slice(1).map(([, quoted, bare]) => quoted ?? bare ?? ''),
  );
}

async function prepareServer({ server }: Lifeboat): Promise<void> {
  await server.sql('create database shop');
  await server.sql('create table orders as select generate_series(1, 1000) as id', 'shop');
  for (const block of blocks(START, 'sql')) {
    for (const statement of block.split(';').filter((text) => text.trim() !== '')) {
      await server.sql(statement.replace("'...'", `'${PASSWORD}'`));
    }
  }
  const hba = [...START.matchAll(/^host .*\n/gm)].join('');
  assert.match(hba, /replication/);
  const path = join(server.dataDir, 'pg_hba.conf');
  await writeFile(path, `host all postgres 127.0.0.1/32 trust\n${hba.replaceAll('10.0.0.5/32', '127.0.0.1/32')}`);
  await server.sql('select pg_reload_conf()');
}

/** README's configuration on this machine: other places, and WAL sooner. */
async function configure({ server, scratch, vault, writeConfig }: Lifeboat): Promise<void> {
  const [yaml = ''] = blocks(START, 'yaml');
  const runAs = process.getuid?.() === 0 ? `, runAs: ${serverUser().name}` : '';
  const changes: [from: string, to: string][] = [
    ['/var/lib/lifeboat', vault],
    ['host: 10.0.0.7', `host: ${server.connection.host}, port: ${server.port}`],
    ['shipEvery: 500ms', 'shipEvery: 200ms, heartbeatEvery: 500ms'],
    [
      '    store: local\n',
      `    store: local\n    restore: { binaries: ${server.binaries}, scratch: ${scratch}${runAs} }\n`,
    ],
  ];
  const body = changes.reduce(
    (text, [from, to]) => {
      assert.ok(text.includes(from), from);
      return text.replace(from, to);
    },
    yaml.slice(yaml.indexOf('stores:')),
  );
  await writeConfig(body);
}

interface Marks {
  time: string;
  xid: string;
}

/** Somebody writes, and somebody deletes too much; what is left lets every later moment pass the probe. */
async function wreck({ server }: Lifeboat): Promise<Marks> {
  await server.sql('insert into orders select generate_series(1001, 1500)', 'shop');
  const [at] = await server.sql(`select to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM') as time`);
  const [gone] = await server.sql(
    'delete from orders where id > 10 returning pg_current_xact_id()::text as xid',
    'shop',
  );
  return { time: String(at?.['time']), xid: String(gone?.['xid']) };
}

test('what README says of a first start and of the temporal CLI works as it is written', async () => {
  process.env['SHOP_PASSWORD'] = PASSWORD;
  await withLifeboat(async (world) => {
    await prepareServer(world);
    await configure(world);
    const worker = await world.startWorker();
    const places = new Map([
      ['/srv/shop', join(world.scratch, 'shop')],
      ['5433', String(await freePort())],
      ['/srv/postgresql.conf', join(world.scratch, 'postgresql.conf')],
      ['/srv/orders', join(world.scratch, 'orders')],
    ]);
    const done: string[] = [];
    for (const words of commands(START, 'lifeboat')) {
      if (words[0] === 'restore' && !places.has('7442')) {
        const { time, xid } = await wreck(world);
        places.set('2026-03-01T11:59:59+01:00', time).set('2026-03-01T10:59:59Z', time).set('7442', xid);
        await reaches(world, time);
      }
      if (words[0] === 'contents') places.set(POINT, await newestPoint(world));
      const { code, out, err } = await world.cli(words.map((word) => places.get(word) ?? word));
      assert.equal(code, 0, `lifeboat ${words.join(' ')}\n${out}${err}\n${worker.log().slice(-2000)}`);
      done.push(words[0] ?? '');
    }
    assert.deepEqual(done, [
      'doctor',
      'apply',
      'apply',
      'backup',
      'wal',
      'backup',
      'verify',
      'wal',
      'wal',
      'restore',
      'restore',
      'restore',
      'drill',
      'contents',
      'extract',
      'extract',
    ]);
    const { scratch, server } = world;
    const restored = new pg.Client({ ...server.connection, port: Number(places.get('5433')), database: 'shop' });
    await restored.connect();
    const { rows } = await restored.query('select count(*)::int as orders, current_setting($1) as place from orders', [
      'data_directory',
    ]);
    await restored.end();
    assert.deepEqual(rows, [{ orders: 1500, place: join(scratch, 'shop') }], 'just before the delete');
    await settable(server);
    await fromTemporal(world, places);
  });
});

/** The server knows what README sets on others of its kind; it is taken back at once. */
async function settable({ sql }: TestPostgres): Promise<void> {
  const statements = blocks(OTHERS, 'sql').flatMap((block) => [...block.matchAll(/^alter system set (\w+) = [^;]+/gm)]);
  assert.equal(statements.length, 4);
  for (const [statement, name] of statements) {
    await sql(statement);
    await sql(`alter system reset ${name}`);
  }
}

async function newestPoint({ cli }: Lifeboat): Promise<string> {
  const { json } = await cli(['list', 'shop', '--json']);
  const [source] = json['sources'] as { points: { point: string }[] }[];
  return `shop/${source?.points.at(-1)?.point ?? ''}`;
}

/** Until the vault holds a commit after the moment: then it can be asked for. */
async function reaches({ cli }: Lifeboat, time: string): Promise<void> {
  for (;;) {
    const { json } = await cli(['wal', 'shop', '--json']);
    const { ranges = [] } = json['wal'] as { ranges?: { lastCommitAt?: string }[] };
    if (ranges.some(({ lastCommitAt = '' }) => Date.parse(lastCommitAt) > Date.parse(time))) return;
  }
}

/** The first start has no service, no rules of retention and nobody to approve: the order is understood, and refused. */
const REFUSED = ['recover/shop', 'retention/shop', 'rescue/shop', 'failover/web', 'rejoin/web', 'failback/web'];

async function fromTemporal({ address, client, cli }: Lifeboat, places: Map<string, string>): Promise<void> {
  const { temporal } = await ensureTools(['temporal'], { log: () => {} });
  const stream = client.workflow.getHandle('wal/shop');
  await cli(['cancel', 'wal/shop']);
  await assert.rejects(stream.result());
  const lines = commands(TEMPORAL, 'temporal');
  assert.equal(lines.length, 14);
  for (const words of lines) {
    const given = words.map((word) => [...places].reduce((text, [from, to]) => text.replaceAll(from, to), word));
    const { code, stdout, stderr } = await runCommand(temporal, [...given, '--address', address]);
    assert.equal(code, 0, `temporal ${given.join(' ')}\n${stdout}${stderr}`);
    const id = given[given.indexOf('--workflow-id') + 1] ?? '';
    const handle = client.workflow.getHandle(id);
    if (given[1] === 'start' && ['backup/shop', 'restore/shop', 'verify/shop/all'].includes(id)) await handle.result();
    if (REFUSED.includes(id)) await assert.rejects(handle.result(), { name: 'WorkflowFailedError' });
    // It took the order when it answers; the command line ran one to its end.
    if (id === 'drill/shop') await handle.query('progress').then(() => handle.cancel());
  }
  const schedule = client.schedule.getHandle('by-hand/shop/drill');
  await schedule.delete();
}
