import { Connection } from '@temporalio/client';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { checkPorts } from '../../workers/dev/stack/ports.ts';
import type { Stack } from '../../workers/dev/stack/index.ts';
import { startStack } from '../../workers/dev/stack/index.ts';
import { isFailure } from '../../workflows/model/failure.ts';
import { withServerDir } from '../support/postgres.ts';

const quiet = { log: () => {} };

async function query(stack: Stack, text: string): Promise<unknown[]> {
  assert.ok(stack.postgres);
  const { host, port, user, password, database } = stack.postgres;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows.flat() as unknown[];
  } finally {
    await client.end();
  }
}

/** A zombie waits for its parent to look, and does nothing any more. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(50);
}

test('a stack has Temporal with its UI and search attributes, and a PostgreSQL that can be backed up', async () => {
  await using stack = await startStack({ ...quiet, ports: 'free' });
  const connection = await Connection.connect({ address: stack.temporal.address });
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  assert.ok('LifeboatPhase' in customAttributes && 'LifeboatDrill' in customAttributes);
  await connection.close();
  assert.equal((await fetch(stack.temporal.ui)).status, 200);
  const settings = ['wal_level', 'data_checksums', 'fsync', 'password_encryption', 'max_wal_senders'];
  const values = await query(stack, `select ${settings.map((name) => `current_setting('${name}')`).join(', ')}`);
  assert.deepEqual(values, ['replica', 'on', 'on', 'scram-sha-256', '10']);
});

test('disposing ends every process and removes the folder', async () => {
  const stack = await startStack({ ...quiet, ports: 'free' });
  const load = stack.spawn('load', 'sh', ['-c', 'echo "$WORD"; sleep 1000'], { env: { WORD: 'said' } });
  await until(() => readFileSync(load.logFile, 'utf8') === 'said\n');
  await stack[Symbol.asyncDispose]();
  assert.deepEqual(await load.exited, { code: null, signal: 'SIGTERM' });
  for (const pid of [stack.temporal.pid, stack.postgres?.pid ?? 0, load.pid]) assert.equal(isRunning(pid), false);
  assert.equal(existsSync(stack.dir), false);
});

test('nothing is left when the owner is killed, not even what left its process group', async () => {
  const owner = spawn(process.execPath, [fileURLToPath(new URL('../support/stack-owner.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
  const { dir, pids, orphanPidFile, data } = JSON.parse(line) as {
    dir: string;
    pids: Record<string, number>;
    orphanPidFile: string;
    data: string;
  };
  const orphan = Number(readFileSync(orphanPidFile, 'utf8'));
  const second = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const all = [...Object.values(pids), orphan, second];
  assert.ok(all.length === 5 && all.every(isRunning), JSON.stringify({ pids, orphan, second }));
  owner.kill('SIGKILL');
  await until(() => !existsSync(dir));
  assert.deepEqual(all.filter(isRunning), [], 'processes end before their folder goes');
});

test('a kept folder has the same data at the next start', async () => {
  await withServerDir(async (dir) => {
    const options = { ...quiet, dir, keepDir: true, ports: 'free', temporal: { dbFile: 'temporal.db' } } as const;
    {
      await using stack = await startStack(options);
      await query(stack, 'create table kept as select 42 as answer');
    }
    await using stack = await startStack(options);
    assert.deepEqual(await query(stack, 'select answer from kept'), [42]);
    assert.ok(existsSync(join(dir, 'temporal.db')));
  });
});

test('a folder that was there before is refused unless it is to be kept', async () => {
  await withServerDir(async (dir) => {
    await assert.rejects(startStack({ ...quiet, dir, ports: 'free' }), (error) => isFailure(error, 'Precondition'));
    assert.ok(existsSync(dir));
  });
});

test('an interrupted start leaves nothing', async () => {
  const dir = `/tmp/lifeboat-interrupted-${process.pid}`;
  const controller = new AbortController();
  const starting = startStack({ ...quiet, dir, ports: 'free', signal: controller.signal });
  await until(() => existsSync(join(dir, 'postgres')));
  controller.abort(new Error('interrupted'));
  await assert.rejects(starting, /interrupted/);
  assert.equal(existsSync(dir), false);
});

test('a port that is taken is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await assert.rejects(checkPorts({ Temporal: port }), (error: Error) => {
    assert.match(error.message, new RegExp(`^port ${port} for Temporal is taken`));
    return isFailure(error, 'Precondition');
  });
  server.close();
});
