import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withTempDir } from '../support/temp-dir.ts';
import { call, LIFEBOAT } from '../support/wal-fetching.ts';

/** The command with a Node that ends so; without one when nothing is said. */
async function ended(dir: string, does: string | undefined, ...words: string[]): Promise<number | null> {
  const place = join(dir, String(Math.random()));
  await mkdir(join(place, 'client'), { recursive: true });
  await mkdir(join(place, 'node_modules/node/bin'), { recursive: true });
  await copyFile(LIFEBOAT, join(place, 'client/lifeboat.sh'));
  if (does !== undefined) {
    const node = join(place, 'node_modules/node/bin/node');
    await writeFile(node, `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  }
  return (await call('/bin/sh', [join(place, 'client/lifeboat.sh'), ...words], dir)).code;
}

const FETCH = ['wal-fetch', 'shop', '000000010000000000000001', 'pg_wal/RECOVERYXLOG'];

/** How Node ends, and what PostgreSQL is told: 0 is there, 1 is not in the vault, above 125 stops the recovery. */
const CODES: readonly [does: string, told: number][] = [
  ['exit 0', 0],
  ['exit 44', 1],
  // A module that is not there, an error that nobody foresaw.
  ['exit 1', 254],
  ['exit 2', 254],
  ['exit 10', 254],
  ['exit 125', 254],
  ['exit 126', 126],
  ['exit 134', 134],
  // PostgreSQL takes SIGTERM for its own shutdown.
  ['kill -TERM $$', 143],
  ['kill -KILL $$', 137],
];

test('wal-fetch: only an answer of the vault is "not there", whatever happens to Node', async () => {
  await withTempDir(async (dir) => {
    for (const [does, told] of CODES) assert.equal(await ended(dir, does, ...FETCH), told, does);
  });
});

/** A standby asks again, whatever it was; but for its own shutdown. */
test('wal-fetch --standby: what could not be asked is 1, and stops no server', async () => {
  const codes: readonly [does: string | undefined, told: number][] = [
    [undefined, 1],
    ['exit 1', 1],
    ['exit 10', 1],
    ['exit 44', 1],
    ['exit 126', 1],
    ['exit 127', 1],
    ['exit 134', 1],
    ['exit 139', 1],
    ['kill -KILL $$', 1],
    ['exit 0', 0],
    ['kill -TERM $$', 143],
    ['exit 130', 130],
  ];
  await withTempDir(async (dir) => {
    for (const [does, told] of codes) assert.equal(await ended(dir, does, ...FETCH, '--standby'), told, does);
  });
});

test('wal-fetch: no Node at all is "could not ask"; any other command says so with 1, and keeps the codes of Node', async () => {
  await withTempDir(async (dir) => {
    // There may be one in /usr/bin: it finds no sources beside the copy.
    assert.equal(await ended(dir, undefined, ...FETCH), 254);
    assert.equal(await ended(dir, undefined, 'list'), 1);
    assert.equal(await ended(dir, 'exit 44', 'list'), 44);
  });
});
