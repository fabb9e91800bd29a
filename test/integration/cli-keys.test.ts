import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { SourcePoints } from '../../workflows/model/results.ts';
import { ask } from '../support/cli-ask.ts';
import type { Lifeboat, WorkerProcess } from '../support/lifeboat.ts';
import { withLifeboat } from '../support/lifeboat.ts';

const FORMAT = await readFile(new URL('../../docs/format.md', import.meta.url), 'utf8');
const CLI = fileURLToPath(new URL('../../client/cli.ts', import.meta.url));

/** The shell blocks below a heading of docs/format.md, in order. */
function blocksBelow(heading: string): string[] {
  const section = FORMAT.split(/^#+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1] ?? '');
}

/** Runs lines of the document as a person does, in the folder of lifeboat.yml. */
async function typed(world: Lifeboat, lines: string | undefined, point = ''): Promise<string> {
  assert.ok(lines, 'the document has such lines');
  const lifeboat = `lifeboat() { "$NODE" "$CLI" "$@"; }\n`;
  const text = lines.replaceAll('/media/usb/', `${join(world.dir, 'usb')}/`);
  const env = { ...process.env, NODE: process.execPath, CLI, POINT: point };
  const { stdout } = await promisify(execFile)('bash', ['-euc', `${lifeboat}${text}`], { env, cwd: world.dir });
  return stdout;
}

test('another root key, and a lost one: the lines of docs/format.md, word by word', { timeout: 300_000 }, async (t) => {
  await withLifeboat(async (world) => {
    const keys = join(world.dir, 'keys');
    await world.server.sql('create table orders as select generate_series(1, 1000) as id');
    let worker = await world.startWorker();
    await ask(world, 'backup', 'shop');
    const point = await onlyPoint(world);

    await t.test('rotation: the new key reads, verifies and restores; the old one is refused', async () => {
      const [rotate, look] = blocksBelow('Another root key');
      await worker.stop();
      assert.match(await typed(world, rotate), /^shop in local: 1 key file wrapped for lifeboat-root\//);
      worker = await world.startWorker();
      assert.match(await typed(world, look, point), /is whole: \d+ parts/);
      const { result } = await ask<{ result: RestoreResult }>(world, 'restore', 'shop', '--to-latest');
      assert.equal(result.proof.ok, true);
      assert.equal(await rowsAt(result.open.port), 1000);

      // A key file is read again for each step: the old one in its place is refused at once.
      await rename(join(keys, 'root.key'), join(keys, 'root.new'));
      await rename(join(keys, 'root.old'), join(keys, 'root.key'));
      const old = await world.cli(['verify', `shop/${point}`]);
      assert.equal(old.code, 12, old.err);
      assert.match(old.err, /cannot be opened with lifeboat-root\/.*next: .*lifeboat keys rewrap --help/s);
      await rename(join(keys, 'root.new'), join(keys, 'root.key'));
    });

    await t.test('the root key is lost: the recovery key, brought from afar, and a new root key', async () => {
      await worker.stop();
      await rm(join(keys, 'root.key'));
      const [rescue] = blocksBelow('The root key is lost');
      await mkdir(join(world.dir, 'usb'));
      await rename(join(keys, 'recovery.key'), join(world.dir, 'usb', 'recovery.key'));
      const said = await typed(world, rescue);
      assert.match(said, /^shop in local: 1 key file wrapped for lifeboat-root\//);
      assert.match(said, /take .*usb\/recovery\.key offline again/);
      worker = await world.startWorker();
      await verified(world, worker, point);
      await ask(world, 'backup', 'shop');
    });
  });
});

async function onlyPoint(world: Lifeboat): Promise<string> {
  const { sources } = await ask<{ sources: SourcePoints[] }>(world, 'list', 'shop');
  const [point, ...more] = sources.flatMap(({ points }) => points);
  assert.equal(more.length, 0);
  return point?.point ?? assert.fail();
}

async function verified(world: Lifeboat, worker: WorkerProcess, point: string): Promise<void> {
  const said = await world.cli(['verify', `shop/${point}`]);
  assert.equal(said.code, 0, `${said.err}\n${worker.log()}`);
  assert.match(said.out, /is whole/);
}

async function rowsAt(port: number): Promise<number> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return Number((await client.query('select count(*) as n from orders')).rows[0]?.n);
  } finally {
    await client.end();
  }
}
