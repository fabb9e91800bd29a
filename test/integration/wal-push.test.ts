import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen } from '../../activities/sources/postgres/wal/archive/listener.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { withTempDir } from '../support/temp-dir.ts';

interface Heard {
  code: number | null;
  said: string;
}

const { walPush } = await ensureTools(['walPush'], { log: () => undefined });

async function call(socket: string): Promise<Heard> {
  const child = spawn(walPush, [socket, '/pg_wal/000000010000000000000001'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

/** The helper against something that answers a request so, and hangs up. */
async function answered(answer: string): Promise<Heard> {
  return withTempDir(async (dir) => {
    const server = createServer((connection: Socket) => {
      connection.on('error', () => undefined);
      connection.once('data', () => connection.end(answer));
    });
    server.listen(join(dir, 's'));
    await once(server, 'listening');
    try {
      return await call(join(dir, 's'));
    } finally {
      server.close();
    }
  });
}

const REFUSALS: readonly [answer: string, said: RegExp][] = [
  ['no its length\n', /: refused: its length\n/],
  ['no \n', /: refused: \n/],
  ['\n', /answered "", which is no answer/],
  ['no\n', /answered "no", which is no answer/],
  ['okay\n', /answered "okay", which is no answer/],
  [' ok\n', /answered " ok", which is no answer/],
  ['', /went away before it answered/],
  ['ok', /went away before it answered/],
  ['wait\nwait\n', /went away before it answered/],
  ['wait\nno \nok\n', /: refused: \n/],
];

test('only the line "ok" lets PostgreSQL let go of a file', async () => {
  for (const answer of ['ok\n', 'wait\nwait\nok\n']) assert.deepEqual(await answered(answer), { code: 0, said: '' });
  for (const [answer, said] of REFUSALS) {
    const heard = await answered(answer);
    assert.equal(heard.code, 1, JSON.stringify(answer));
    assert.match(heard.said, said, JSON.stringify(answer));
  }
});

test('a refusal is one whatever its reason reads like', async () => {
  for (const [reason, said] of [
    ['', /: refused: without a reason\n/],
    [' \n\t', /: refused: without a reason\n/],
    ['ok', /: refused: ok\n/],
    ['\nok\n', /: refused: ok\n/],
  ] as const) {
    await withTempDir(async (dir) => {
      const socket = join(dir, 's');
      const listener = await listen({ socket, mode: 0o600, push: () => Promise.reject(new Error(reason)) });
      try {
        const heard = await call(socket);
        assert.equal(heard.code, 1);
        assert.match(heard.said, said);
      } finally {
        await listener.close();
      }
    });
  }
});
