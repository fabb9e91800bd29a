import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { createPointFiles } from '../../activities/sources/postgres/files/index.ts';
import { createForensicCopying } from '../../activities/sources/postgres/forensic/index.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { memorySink } from '../support/folder-sink.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, run, serverIn, serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import { readBackup } from '../support/read-backup.ts';
import { recoveryOptions } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { heldThreads, testVault } from '../support/vault.ts';

heldThreads();

const SUM = `
  select string_agg(s, ' ' order by s) as sum from (
    select 'far ' || count(*) || ' ' || sum(hashtext(f::text)) as s from far f
    union all select 'late ' || count(*) || ' ' || sum(hashtext(l::text)) from late l) as sums`;

interface Scene {
  server: TestPostgres;
  at: TestVault;
  vault: Vault;
}

function copyingOf(server: TestPostgres, run?: Partial<Run>): ReturnType<typeof createForensicCopying> {
  return createForensicCopying(recoveryOptions(server, { files: { dataDirectory: server.dataDir } }), plainRun(run));
}

async function copied({ server, vault }: Scene, point: string): Promise<BackupFacts> {
  await using draft = await vault.begin(point);
  const facts = await copyingOf(server).copy(draft, {});
  await draft.finish(facts);
  await vault.publish(point);
  return facts;
}

function says(type: string, message: RegExp) {
  return (error: unknown): boolean => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.match(String(error) + JSON.stringify(error), message);
    return true;
  };
}

/** SHA-256 of every file below a folder, by path; links are followed where a tablespace stands behind them. */
async function sumsIn(folder: string, path = ''): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (const name of await readdir(join(folder, path))) {
    const at = path === '' ? name : `${path}/${name}`;
    const stats = await stat(join(folder, at)).catch(() => undefined);
    if (stats?.isDirectory()) for (const [key, sum] of await sumsIn(folder, at)) sums.set(key, sum);
    else if (stats) sums.set(at, createHash('sha256').update(await readFile(join(folder, at))).digest('hex')); // prettier-ignore
  }
  return sums;
}

function ownedByServer(folder: string): void {
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) spawnSync('chown', ['-R', `${uid}:${gid}`, folder]);
}

/** A server on a copy of the files, which writes to nobody else's place. */
async function startOn(dir: string, version: number, binaries: string): Promise<TestPostgres> {
  ownedByServer(dir);
  await rm(join(dir, 'data', 'postmaster.pid'), { force: true });
  const port = await freePort();
  await appendFile(join(dir, 'data', 'postgresql.auto.conf'), `port = ${port}\nunix_socket_directories = '${dir}'\n`);
  const copy = serverIn(dir, { version, binaries, port });
  await copy.start();
  return copy;
}

async function damage(server: TestPostgres, path: string, block: number): Promise<void> {
  const file = await open(join(server.dataDir, path), 'r+');
  await file.write(Buffer.from('rotten'), 0, 6, block * 8192 + 5000);
  await file.close();
}

/** With tablespace, unlogged table, its WAL on another disk, and rows behind the last checkpoint; killed in the end. */
async function wrecked({ server }: Scene): Promise<{ sum: unknown; bad: string }> {
  const place = join(server.dataDir, '..', 'space');
  await makeOwned(place);
  await server.sql(`create tablespace space location '${place}'`);
  await server.sql('create table far tablespace space as select g as id, md5(g::text) as body from generate_series(1, 5000) g'); // prettier-ignore
  await server.sql('create table bad as select g as id, md5(g::text) as body from generate_series(1, 3000) g');
  await server.sql('create unlogged table unlogged as select 1 as x');
  await server.sql('create table late (id int, body text)');
  await server.sql('checkpoint');
  await server.sql('insert into late select g, md5(g::text) from generate_series(1, 2000) g');
  const [row] = await server.sql(SUM);
  const [path] = await server.sql(`select pg_relation_filepath('bad') as path`);
  await server.stop('immediate');
  await rename(join(server.dataDir, 'pg_wal'), join(server.dataDir, '..', 'wal'));
  await symlink(join(server.dataDir, '..', 'wal'), join(server.dataDir, 'pg_wal'));
  return { sum: row?.['sum'], bad: String(path?.['path']) };
}

async function refusals({ server }: Scene): Promise<void> {
  const occupied = says('Precondition', /a server works on .*postmaster \d+/);
  await assert.rejects(copyingOf(server).find({}), occupied);
  await assert.rejects(copyingOf(server).copy(memorySink(), {}), occupied);
  const nowhere = createForensicCopying(recoveryOptions(server), plainRun());
  await assert.rejects(nowhere.find({}), says('Precondition', /where its files stand is not known.*--forensic-dir/));
  const absent = { directory: join(server.dataDir, 'absent') };
  await assert.rejects(nowhere.find(absent), says('Precondition', /absent is no data directory/));
  await assert.rejects(nowhere.find({ directory: '/tmp' }), says('Precondition', /none of PG_VERSION, global, base/));
}

/** One that a killed postmaster left behind: it may write yet. */
async function refusesLeftOver({ server }: Scene): Promise<void> {
  const script = 'printf postgres > /proc/$$/comm; echo ready; read line';
  const left = spawn('/bin/bash', ['-c', script], { cwd: server.dataDir, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(left, 'exit');
  try {
    await once(left.stdout, 'data');
    await assert.rejects(copyingOf(server).find({}), says('Precondition', /server process \d+ without a postmaster/));
  } finally {
    left.kill('SIGKILL');
    await ended;
  }
}

async function refusesOthers({ server }: Scene): Promise<void> {
  const known = { systemId: '7', serverVersion: 180_000, segmentBytes: 1 << 24, timeline: 1 };
  await assert.rejects(
    copyingOf(server).find({ known }),
    says('Precondition', /files of another cluster.*identifier 7/),
  );
}

/** A copy during which this is done, once its first bytes are read. */
function copyWhile(server: TestPostgres, work: () => void): Promise<BackupFacts> {
  let begun = false;
  const progress: Run['progress'] = ({ phase, doneBytes }) => {
    if (phase !== 'copy' || doneBytes === undefined || begun) return;
    begun = true;
    work();
  };
  return copyingOf(server, { progress }).copy(memorySink(), {});
}

/** The same once more: the server is to start yet. */
function writeInto(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, readFileSync(path).subarray(0, 1), 0, 1, 0);
  closeSync(file);
}

/** A server that is not among our processes shows itself by what it writes; whatever else changes is told. */
async function knowsChanges({ server }: Scene): Promise<void> {
  const at = (path: string): string => join(server.dataDir, path);
  const [segment] = readdirSync(at('pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const works: [path: string, work: (path: string) => void][] = [
    [`pg_wal/${segment}`, writeInto],
    ['base/4711', (path) => writeFileSync(path, '')],
    ['base/4711', (path) => rmSync(path)],
    ['postmaster.pid', (path) => writeFileSync(path, '')],
    ['postmaster.pid', (path) => rmSync(path)],
  ];
  for (const [path, work] of works)
    await assert.rejects(
      copyWhile(server, () => work(at(path))),
      says('Precondition', new RegExp(`somebody wrote to .*1 that changed: ${path}"`)),
    );
  const { forensic } = await copyWhile(server, () => writeFileSync(at('a.log'), 'rotated'));
  assert.deepEqual([forensic?.changed, forensic?.changedCount], [[{ tree: 'base', path: 'a.log' }], 1]);
}

/** It comes up while its files are read, and is down again when that is over. */
async function refusesStarted({ server }: Scene): Promise<void> {
  const copying = copyWhile(server, () => {
    const { uid, gid } = serverUser();
    const as = uid === undefined || gid === undefined ? {} : { uid, gid };
    const log = join(server.dataDir, '..', 'log');
    for (const args of [['-l', log, 'start'], ['stop']])
      assert.equal(spawnSync(join(server.binaries, 'pg_ctl'), ['-D', server.dataDir, '-w', ...args], { ...as, stdio: 'ignore' }).status, 0); // prettier-ignore
  });
  await assert.rejects(copying, says('Precondition', /a server was started on/));
}

async function takenOut({ server, vault }: Scene, point: string, dir: string): Promise<void> {
  const files = createPointFiles(recoveryOptions(server), plainRun());
  const from = { reader: await vault.open(point), chain: [point] };
  const what = { all: true } as const;
  const plan = {
    run: 'run-1',
    source: 'shop',
    host: 'here',
    point,
    chain: [point],
    what,
    path: '.',
    to: join(dir, 'data'),
  };
  assert.equal(await files.find(from, what), '.');
  await files.extract(plan, from);
}

test('a killed server: every byte of its files is kept, told apart from every backup, and starts again', () =>
  withPostgres({ version: 18 }, (server) =>
    withTempDir(async (dir) => {
      const at = await testVault(dir);
      await using vault = await at.open();
      const scene = { server, at, vault };
      await refusals(scene);
      const { sum, bad } = await wrecked(scene);
      await damage(server, bad, 7);
      await symlink('/nonexistent', join(server.dataDir, 'pg_tblspc', '99999'));
      await refusesLeftOver(scene);
      await refusesOthers(scene);
      const facts = await copied(scene, 'f1');

      const { control, unread, unreadCount, directory } = facts.forensic ?? {};
      const said = await run(join(server.binaries, 'pg_controldata'), [server.dataDir]);
      const told = (name: string): string | undefined => new RegExp(`^${name}: +(.*)$`, 'm').exec(said)?.[1];
      assert.equal(control?.state, told('Database cluster state'));
      assert.deepEqual([control?.state, control?.clean], ['in production', false]);
      assert.equal(control?.checkpointLsn, told('Latest checkpoint location'));
      assert.equal(control?.redoLsn, told("Latest checkpoint's REDO location"));
      assert.equal(String(control?.timeline), told("Latest checkpoint's TimeLineID"));
      assert.deepEqual([unread, unreadCount], [[{ tree: 'base', path: 'pg_tblspc/99999', reason: 'ENOENT' }], 1]);
      assert.equal(directory, server.dataDir);
      assert.ok(facts.damaged?.some(({ path, block }) => path === bad && block === 7));

      const listed = await vault.points();
      assert.deepEqual([listed.points, listed.forensic.map(({ point }) => point), listed.damaged], [[], ['f1'], []]);
      assert.match(listed.forensic[0]?.forensic?.state ?? '', /^not shut down \(in production\), last checkpoint at /);

      await withServerDir(async (place) => {
        await takenOut(scene, 'f1', place);
        assert.deepEqual(await sumsIn(join(place, 'data')), await sumsIn(server.dataDir));
        const copy = await startOn(place, 18, server.binaries);
        try {
          assert.equal((await copy.sql(SUM))[0]?.['sum'], sum);
          await assert.rejects(copy.sql('select count(*) from bad'), /invalid page in block 7/);
        } finally {
          await copy.stop('immediate');
        }
      });
      await withoutLifeboat(scene, dir);
      await knowsChanges(scene);
      await refusesStarted(scene);
    }),
  ));

/** A reader that knows the format alone restores it only when it is told that it is no backup. */
async function withoutLifeboat({ server, at }: Scene, dir: string): Promise<void> {
  const keys = ['--root-key', join(at.keyDir, 'root.key'), '--signer', join(at.keyDir, 'signing.pub')];
  const read = ['--vault', at.root, '--source', 'shop', ...keys];
  const list = await readBackup(...read, '--list');
  assert.match(list.stdout, /^f1 {2}forensic copy, no backup/m, list.stderr);
  const into = join(dir, 'read');
  const refused = await readBackup(...read, '--point', 'f1', '--into', into);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /f1 is a forensic copy: nothing is restored from it/);
  const { code, stderr } = await readBackup(...read, '--point', 'f1', '--into', into, '--forensic');
  assert.equal(code, 0, stderr);
  const [own, there] = [await sumsIn(join(into, 'data')), await sumsIn(server.dataDir)];
  assert.deepEqual([...own.keys()].sort(), [...there.keys()].sort());
  for (const [path, sum] of own) assert.equal(sum, there.get(path), path);
}

test('PostgreSQL 15: shut down, with a pg_control that is wrong: the vault says whose files they are', () =>
  withPostgres({ version: 15 }, async (server) => {
    const [row] = await server.sql('select system_identifier::text as id from pg_control_system()');
    const systemId = String(row?.['id']);
    await server.stop();
    const found = await copyingOf(server).find({ known: { systemId, serverVersion: 150_004, segmentBytes: 1 << 24, timeline: 1 } }); // prettier-ignore
    assert.deepEqual([found.control?.state, found.control?.clean], ['shut down', true]);
    const path = join(server.dataDir, 'global/pg_control');
    const control = await open(path, 'r+');
    await control.write(Buffer.from([0xff, 0xff]), 0, 2, 100);
    await control.close();
    await mkdir(join(server.dataDir, 'left over'));
    const known = { systemId, serverVersion: 150_004, segmentBytes: 1 << 24, timeline: 3 };
    const out = memorySink();
    const facts = await copyingOf(server).copy(out, { known });
    assert.deepEqual(facts.forensic, { directory: server.dataDir, controlWrong: 'global/pg_control has a wrong checksum' }); // prettier-ignore
    const { identity, startLsn, timeline, pageChecksums, trees } = facts;
    assert.deepEqual([identity.systemId, identity.serverVersion, timeline, startLsn], [systemId, 150_004, 3, '0/0']);
    assert.equal(pageChecksums, false);
    const paths = trees.flatMap(({ files }) => files.map((file) => file.path));
    for (const wanted of ['global/pg_control', 'left over', 'postmaster.opts', 'PG_VERSION'])
      assert.ok(paths.includes(wanted), wanted);
    assert.ok(paths.some((each) => /^pg_wal\/[0-9A-F]{24}$/.test(each)));
    const unread = memorySink();
    await assert.rejects(copyingOf(server).copy(unread, {}), says('Integrity', /nothing says which cluster/));
    assert.equal(unread.parts.size, 0, 'nothing was read for it');
    await assert.rejects(copyingOf(server).find({}), says('Integrity', /nothing says which cluster/));
  }));
