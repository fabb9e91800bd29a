import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseLsn } from '../../workflows/model/lsn.ts';
import type { WalAnswer } from '../../workflows/model/results.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import { binariesOf, serverUser } from '../support/postgres.ts';
import type { Row } from '../support/refused.ts';
import { PROMISE, refuse } from '../support/refused.ts';

const isRoot = process.getuid?.() === 0;
const NEEDS_ROOT = isRoot ? undefined : 'only root may mount';

test(`restores that cannot be: ${PROMISE}`, { concurrency: true }, async (t) => {
  await withLifeboat(async (world) => {
    await world.server.sql('create table orders (id int)');
    const worker = await world.startWorker();
    const moments = await history(world);
    await using taken = await takePort();
    await using places = await badPlaces(world);
    await refuse(t, world, [...points(), ...targets(moments), ...targetPlaces(world, taken.port, places.names)]);
    await worker.stop();
    for (const { change, row } of badHosts(world)) {
      await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', [change])].join('\n'));
      const other = await world.startWorker();
      await refuse(t, world, [row]);
      await other.stop();
    }
  });
});

interface Moments {
  beforeBackup: string;
  inGap: string;
  afterGap: string;
}

/** A backup, WAL with a hole in it, and nothing that writes any more. */
async function history(world: Lifeboat): Promise<Moments> {
  const { server } = world;
  const clock = async (): Promise<string> => {
    const [row] = await server.sql(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
    );
    return String(row?.['at']);
  };
  const lsn = async (): Promise<bigint> =>
    parseLsn(String((await server.sql('select pg_current_wal_lsn()::text as lsn'))[0]?.['lsn']));
  const next = async (): Promise<void> => {
    // Two transactions: the commit of one that switches would stand behind the switch.
    await server.sql('insert into orders values (1)');
    await server.sql('select pg_switch_wal()');
  };

  const beforeBackup = await clock();
  const backup = await world.cli(['backup', 'shop']);
  assert.equal(backup.code, 0, backup.err);
  await next();
  const from = await lsn();
  await server.sql('insert into orders values (2)');
  const inGap = await clock();
  await next();
  const to = await lsn();
  await server.sql('insert into orders values (3)');
  const afterGap = await clock();
  await server.sql('insert into orders values (4)');
  await vaultHolds(world, await clock());
  await world.cli(['cancel', 'wal/shop']);
  await world.cli(['status', 'wal/shop', '--follow']);
  await server.stop();
  await removeWal(world, { from, to });
  return { beforeBackup, inGap, afterGap };
}

async function vaultHolds(world: Lifeboat, moment: string): Promise<void> {
  for (let looks = 0; looks < 300; looks++) {
    const { wal } = (await world.cli(['wal', 'shop', '--json'])).json as { wal?: WalAnswer };
    if (Date.parse(wal?.windows.at(-1)?.to ?? '') > Date.parse(moment)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the vault never held ${moment}`);
}

/** Takes WAL away behind the product's back. */
async function removeWal({ vault }: Lifeboat, gap: { from: bigint; to: bigint }): Promise<void> {
  const folder = join(vault, 'shop/wal');
  let removed = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    const [, start, end] = /\/([0-9a-f]{16})-([0-9a-f]{16})(?:-\d+)?$/.exec(name) ?? [];
    if (start === undefined || end === undefined) continue;
    if (BigInt(`0x${start}`) >= gap.to || BigInt(`0x${end}`) <= gap.from) continue;
    await rm(join(folder, name));
    removed += 1;
  }
  assert.ok(removed > 0, 'there was WAL to remove');
}

function points(): Row[] {
  const unknown = '20200101T000000Z-aaaaaaaa-1';
  const verbs = [['show'], ['verify'], ['contents'], ['extract', '--file', 'PG_VERSION', '--to', '/srv/version']];
  const words = verbs.map((verb) => [...verb, `shop/${unknown}`]);
  return [
    ...[...words, ['restore', 'shop', '--point', unknown]].map((each): Row => ({
      ...{ name: `${each[0]}: a point that does not exist`, words: each },
      ...{ type: 'NotFound', message: new RegExp(`${unknown}.* does not exist`), place: /shop/ },
      ...{ expected: /./, found: unknown, next: 'lifeboat list shop' },
    })),
    {
      ...{ name: 'a tablespace that the backup does not have', words: ['restore', 'shop', '--tablespace', '1=/x'] },
      ...{ type: 'ConfigInvalid', message: 'tablespace 1 is not in this backup', place: 'tablespaces' },
      ...{ expected: /no tablespaces/, found: '1', next: /lifeboat show/ },
    },
    ...badDatabases(),
    {
      ...{
        name: 'a host without a worker',
        words: ['restore', 'shop', '--host', 'mars', '--preview'],
        isHurried: true,
      },
      ...{
        type: 'Unavailable',
        message: 'no worker takes tasks from queue lifeboat.host.mars',
        place: /host\.mars at/,
      },
      ...{ expected: 'a worker', found: 'none', next: 'on that host: lifeboat worker --name mars' },
    },
  ];
}

function badDatabases(): Row[] {
  const restore = (...more: string[]): string[] => ['restore', 'shop', '--to-immediate', '--only-database', ...more];
  return [
    {
      ...{ name: 'a database that is not in the base', words: restore('crm') },
      ...{ type: 'NotFound', message: /database crm is not in \d{8}T/, place: 'onlyDatabase' },
      ...{ expected: 'one of postgres, template0, template1', found: 'crm', next: /lifeboat restore shop$/ },
    },
    {
      ...{ name: 'one database in place of all', words: restore('postgres', '--in-place', '--into', '/srv/x') },
      ...{ type: 'ConfigInvalid', message: /in place the other databases would be lost/, place: 'inPlace' },
      ...{ expected: 'no inPlace', found: 'inPlace', next: /--only-database postgres --into DIR$/ },
    },
    {
      ...{ name: 'one database in a cluster that is not opened', words: restore('postgres', '--action', 'pause') },
      ...{ type: 'ConfigInvalid', message: /only there the others can be closed/, place: 'action' },
      ...{ expected: 'promote', found: 'pause', next: /lifeboat restore shop --only-database postgres$/ },
    },
  ];
}

function targets({ beforeBackup, inGap, afterGap }: Moments): Row[] {
  const unreachable = (name: string, target: string, nearest: RegExp): Row => ({
    ...{ name, words: ['restore', 'shop', '--to-time', target] },
    ...{ type: 'Precondition', message: nearest, place: 'shop' },
    ...{ expected: /^\d{4}-.*Z to \d{4}-.*Z \([0-9A-F/]+ to [0-9A-F/]+, timeline 1\)/, found: target },
    next: /lifeboat restore shop --to-latest --preview, or lifeboat wal shop/,
  });
  return [
    {
      ...{
        name: 'a target in the future',
        words: ['restore', 'shop', '--to-time', '2099-01-01T00:00:00Z', '--preview'],
      },
      ...{ type: 'Precondition', message: /lies in the future/, place: 'target.time' },
      ...{ expected: /^a moment before \d{4}-/, found: '2099-01-01T00:00:00.000000Z' },
      next: 'lifeboat restore shop --to-latest',
    },
    unreachable(
      'a target before the first backup',
      beforeBackup,
      /cannot be reached in shop; nearest reachable: after it \d{4}/,
    ),
    unreachable('a target in a WAL gap', inGap, /cannot be reached in shop; nearest reachable: before it \d{4}/),
    unreachable('a target behind a WAL gap', afterGap, /cannot be reached in shop; nearest reachable: before it \d{4}/),
    {
      ...{ name: 'a position beyond the WAL', words: ['restore', 'shop', '--to-lsn', 'FF/0'] },
      ...{ type: 'Precondition', message: /LSN FF\/0 cannot be reached in shop/, place: 'shop' },
      ...{ expected: /timeline 1/, found: 'LSN FF/0', next: /lifeboat wal shop/ },
    },
    {
      ...{ name: 'an unrelated timeline', words: ['restore', 'shop', '--timeline', '7'] },
      ...{ type: 'Precondition', message: 'timeline 7 of shop is not in the vault', place: 'shop, timeline 7' },
      ...{ expected: 'one of 1', found: '7', next: 'lifeboat wal shop' },
    },
  ];
}

async function takePort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** A folder with something in it, one that cannot be written to, one on a disk that is too small. */
async function badPlaces({
  scratch,
}: Lifeboat): Promise<AsyncDisposable & { names: Record<'used' | 'readOnly' | 'small', string> }> {
  const names = { used: join(scratch, 'used'), readOnly: join(scratch, 'read-only'), small: join(scratch, 'small') };
  for (const path of Object.values(names)) await mkdir(path);
  await writeFile(join(names.used, 'PG_VERSION'), '18\n');
  const mounts: string[] = [];
  const mount = (path: string, options: string): void => {
    if (!isRoot) return;
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    mounts.push(path);
  };
  mount(names.readOnly, 'ro,size=1m');
  mount(names.small, 'size=4m,mode=777');
  return {
    names,
    [Symbol.asyncDispose]: async () => {
      for (const path of mounts) spawnSync('umount', [path]);
    },
  };
}

function targetPlaces(
  world: Lifeboat,
  port: number,
  { used, readOnly, small }: Record<'used' | 'readOnly' | 'small', string>,
): Row[] {
  const restore = (...more: string[]): string[] => ['restore', 'shop', '--to-immediate', ...more];
  return [
    {
      ...{ name: 'a folder that is not empty', words: restore('--into', used) },
      ...{ type: 'Precondition', message: `${used} is not empty`, place: used },
      ...{
        expected: 'an absent or empty directory',
        found: /./,
        next: /--into, set this one aside with --replace, or use it with --in-place/,
      },
    },
    {
      ...{ name: 'in place, without a folder', words: restore('--in-place') },
      ...{ type: 'ConfigInvalid', message: 'inPlace goes with a directory and without replace', place: 'inPlace' },
      ...{ expected: 'into, and no replace', found: 'no directory', next: /--in-place --into DIR$/ },
    },
    {
      ...{ name: 'a standby with a target', words: ['restore', 'shop', '--standby', '--to-immediate'] },
      ...{ type: 'ConfigInvalid', message: /^a standby is the whole cluster/, place: 'target' },
      ...{ expected: 'no target', found: 'immediate', next: 'lifeboat restore --help' },
    },
    {
      ...{ name: 'a server to stream from, and no standby', words: restore('--from-server', 'db1:5432') },
      ...{ type: 'ConfigInvalid', message: 'fromServer goes with standby', place: 'fromServer' },
      ...{ expected: 'standby', found: 'a recovery that ends', next: 'lifeboat restore --help' },
    },
    {
      ...{ name: 'in place, over what is no copy of the cluster', words: restore('--in-place', '--into', used) },
      ...{ type: 'Precondition', message: `${used} is not a copy of this cluster`, place: used },
      ...{
        expected: /^system identifier \d+$/,
        found: 'no global/pg_control',
        next: /set this one aside with --replace/,
      },
    },
    {
      ...{
        name: 'a folder that cannot be written to',
        words: restore('--into', join(readOnly, 'x')),
        skip: NEEDS_ROOT,
      },
      ...{ type: 'Denied', message: /is on a read-only file system/, place: /read-only/ },
      ...{ expected: 'a file system that can be written to', found: 'EROFS', next: 'mount it read-write' },
    },
    {
      ...{ name: 'a folder on a full disk', words: restore('--into', join(small, 'x')), skip: NEEDS_ROOT },
      ...{ type: 'Precondition', message: /is too small for the restore/, place: small },
      ...{ expected: /MiB free$/, found: /MiB free$/, next: /free space, or name a directory on another disk/ },
    },
    {
      ...{ name: 'a port that is taken', words: restore('--port', String(port), '--into', join(world.scratch, 'new')) },
      ...{ type: 'Precondition', message: `port ${port} is taken`, place: `127.0.0.1:${port}` },
      ...{ expected: 'a free port', found: 'EADDRINUSE', next: 'choose another with --port' },
    },
  ];
}

/** What is wrong with the host that restores is in the configuration of its worker. */
function badHosts({ server, scratch }: Lifeboat): { change: string; row: Row }[] {
  const runAs = isRoot ? `, runAs: ${serverUser().name}` : '';
  const other = binariesOf(15);
  return [
    {
      change: `restore: { binaries: ${server.binaries}, scratch: ${scratch} }`,
      row: {
        ...{ name: 'restoring as root', words: ['restore', 'shop', '--to-immediate'] },
        skip: isRoot ? undefined : 'only root is refused',
        ...{ type: 'Precondition', message: /as root, which it refuses/, place: 'restore.runAs' },
        ...{ expected: 'an unprivileged user', found: 'root', next: /set restore\.runAs/ },
      },
    },
    {
      change: `restore: { binaries: ${other}, scratch: ${scratch}${runAs} }`,
      row: {
        ...{ name: 'a wrong server version on the restoring host', words: ['restore', 'shop', '--to-immediate'] },
        ...{ type: 'Unsupported', message: 'PostgreSQL 18 is not installed on this host', place: 'restore.binaries' },
        ...{ expected: 'a folder with postgres 18', found: `${other}: 15`, next: /set restore\.binaries/ },
      },
    },
  ];
}
