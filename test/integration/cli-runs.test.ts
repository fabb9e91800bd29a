import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { TASK_QUEUE } from '../../workflows/model/names.ts';
import type { CliWorld, Said } from '../support/cli-world.ts';
import { hurriedHost, realTimeHost, withCliWorld } from '../support/cli-world.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import type { SlowActivities } from '../support/slow-workflows.ts';

Runtime.install({ logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} } as never });

const CONFIG = `
name: mine
stores: { local: { kind: filesystem, path: vault } }
sources:
  shop:
    kind: postgres
    connection: { host: 127.0.0.1, port: 5432, user: postgres, database: postgres }
    store: local
`;
const MIB = 2 ** 20;

/** The step of the slow run, in the test's hand. */
class Copy implements SlowActivities {
  doneBytes = 0;
  /** Result of the copy; the step ends when it is set. */
  result: number | undefined;
  started = 0;

  copy = async (): Promise<number> => {
    this.started += 1;
    for (;;) {
      if (this.result !== undefined) return this.result;
      Context.current().heartbeat({ phase: 'copy', doneBytes: this.doneBytes, totalBytes: 100 * MIB });
      await Context.current().sleep(20);
    }
  };
}

interface Running extends CliWorld {
  copy: Copy;
}

async function withRuns(callback: (world: Running) => Promise<void>): Promise<void> {
  await withCliWorld(async (world) => {
    await world.writeConfig(CONFIG);
    const copy = new Copy();
    const connection = await NativeConnection.connect({ address: world.address });
    const worker = await Worker.create({
      ...{ connection, taskQueue: TASK_QUEUE, activities: { copy: copy.copy } },
      workflowsPath: fileURLToPath(new URL('../support/slow-workflows.ts', import.meta.url)),
      ...{ maxHeartbeatThrottleInterval: 50, defaultHeartbeatThrottleInterval: 50 },
    });
    await worker.runUntil(() => callback({ ...world, copy }));
    await connection.close();
  });
}

/** Resolves when `text` shows up in what a running command writes. */
async function until(look: () => boolean, what: string): Promise<void> {
  for (let looks = 0; looks < 1500; looks++) {
    if (look()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`never seen: ${what}`);
}

const statusOf = async (world: CliWorld, id: string): Promise<string> =>
  (await world.client.workflow.getHandle(id).describe()).status.name;

test('a run: the same command joins it, another order is Busy, all who wait get the one result', async () => {
  await withRuns(async (world) => {
    const first = world.cli(['backup', 'shop', '--detach', '--json']);
    const started = await first;
    assert.equal(started.code, 0, started.err);
    assert.equal(started.json['joined'], false);
    const joined = await world.cli(['--json', 'backup', 'shop', '--detach']);
    assert.equal(joined.json['joined'], true);
    assert.equal(joined.json['runId'], started.json['runId']);

    const other = await world.cli(['backup', 'shop', '--label', 'x']);
    assert.equal(other.code, 11);
    assert.match(other.err, /run backup\/shop is going on with another order/);
    assert.match(other.err, /expected: backup \{"label":"x","source":"shop"\}/);
    assert.match(other.err, /found: backup \{"source":"shop"\}/);
    assert.match(other.err, /next: lifeboat status backup\/shop --follow, or lifeboat cancel backup\/shop/);

    const waiting = ['1', '2'].map(() => world.cli(['status', 'backup/shop', '--follow', '--json']));
    world.copy.result = 42;
    for (const said of await Promise.all(waiting)) {
      assert.equal(said.code, 0, said.err);
      assert.deepEqual(said.json['result'], { copied: 42 });
      assert.equal(said.out.trimEnd().split('\n').length, 1, 'one object and nothing else');
    }
    assert.equal(world.copy.started, 1);
  });
});

test('a run on a pipe: plain lines of step and bytes on stderr, remarks once, the failure of the run as it is', async () => {
  await withRuns(async (world) => {
    const host = realTimeHost();
    world.copy.doneBytes = 25 * MIB;
    const running = world.cli(['backup', 'shop'], host);
    await until(() => host.err.includes('25.0 MiB of 100.0 MiB'), 'the bytes');
    world.copy.result = -1;
    const said = await running;
    assert.equal(said.code, 6);
    assert.equal(said.out, '');
    assert.ok(!said.err.includes('\u001b'), 'no control characters');
    const lines = said.err.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^started backup\/shop/);
    assert.equal(lines.filter((line) => line.includes('the copy begins')).length, 1);
    assert.equal(lines.filter((line) => line === 'attention: somebody should look: lifeboat doctor').length, 1);
    assert.deepEqual(lines.slice(-5), [
      'lifeboat: copy of shop is damaged',
      '  place: part 3',
      '  expected: sha256 aa',
      '  found: sha256 bb',
      '  next: lifeboat backup shop',
    ]);
  });
});

test('a run on a terminal: one line that moves, with bar, bytes, rate and time left', async () => {
  await withRuns(async (world) => {
    const host = realTimeHost({ tty: true, columns: 200 });
    const running = world.cli(['backup', 'shop'], host);
    const grow = setInterval(() => (world.copy.doneBytes += MIB), 25);
    await until(() => /\d+%  [\d.]+ MiB of 100\.0 MiB  [\d.]+ MiB\/s  .*left/.test(host.err), 'rate and time left');
    clearInterval(grow);
    world.copy.result = -1;
    await running;
    const bar = host.err.split('\r\u001b[2K').find((line) => line.includes('left'));
    assert.match(bar ?? '', /^backup\/shop  copy  \[#*\.*\]  \d+%/);
    assert.ok(!bar?.includes('\n'));
  });
});

test('a run: Ctrl-C leaves it running and says how to come back', async () => {
  await withRuns(async (world) => {
    const cli = fileURLToPath(new URL('../../client/cli.ts', import.meta.url));
    const child = spawn(process.execPath, [cli, 'backup', 'shop', '--config', `${world.dir}/lifeboat.yml`]);
    const said: Said = { code: -1, out: '', err: '', json: {} };
    child.stderr.on('data', (text: Buffer) => (said.err += text.toString()));
    await until(() => said.err.includes('copy'), 'progress');
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 130);
    assert.match(
      said.err,
      /lifeboat: detached; run backup\/shop goes on\n {2}next: lifeboat status backup\/shop --follow/,
    );
    assert.equal(await statusOf(world, 'backup/shop'), 'RUNNING');
    const follow = world.cli(['status', 'backup/shop', '--follow']);
    world.copy.result = 1;
    assert.equal((await follow).out, 'backup/shop is done\n');
  });
});

test('a run: cancel ends it, the one who waits learns it, a second cancel is refused', async () => {
  await withRuns(async (world) => {
    const running = world.cli(['backup', 'shop']);
    await until(() => world.copy.started > 0, 'the copy');
    const asked = await world.cli(['cancel', 'backup/shop']);
    assert.equal(asked.out, 'asked backup/shop to stop; it cleans up first: lifeboat status backup/shop --follow\n');
    const said = await running;
    assert.equal(said.code, 15);
    assert.match(said.err, /run backup\/shop was cancelled/);
    const shown = await world.cli(['status', 'backup/shop']);
    assert.match(shown.out, /status +cancelled\n.*lifeboat: run backup\/shop was cancelled\n/s);
    const again = await world.cli(['cancel', 'backup/shop']);
    assert.equal(again.code, 5);
    assert.match(
      again.err,
      /run backup\/shop has ended already\n.*expected: a run that is going on\n {2}found: cancelled at/s,
    );
    assert.equal((await world.cli(['cancel', 'backup/nothing'])).code, 4);
  });
});

test('status: the list, one run with its step and page, a run that goes on under new ids', async () => {
  await withRuns(async (world) => {
    await world.client.workflow.start('drill', {
      ...{ taskQueue: TASK_QUEUE, workflowId: 'drill/shop', args: [{ source: 'shop' }] },
    });
    const followed = await world.cli(['status', 'drill/shop', '--follow', '--json']);
    assert.deepEqual(followed.json['result'], { rounds: 3 });

    await world.cli(['backup', 'shop', '--detach']);
    await until(() => world.copy.started > 0, 'the copy');
    const one = await world.cli(['status', 'backup/shop']);
    assert.match(one.out, /^run +backup\/shop\nstatus +running\n/);
    assert.match(one.out, /step +copy, attempt 1\n/);
    assert.match(one.out, /now +copy\n/);
    const list = await world.cli(['status', '--json']);
    const runs = list.json['runs'] as { workflowId: string }[];
    assert.ok(runs.some((run) => run.workflowId === 'drill/shop'));
    world.copy.result = 1;
    await world.client.workflow.getHandle('backup/shop').result();
  });
});

test('a run: Temporal is away for a while; the one who waits is told, and gets the result', async () => {
  await withRuns(async (world) => {
    await using proxy = await startTcpProxy(world.address);
    const host = realTimeHost({ environment: { TEMPORAL_ADDRESS: proxy.address } });
    const running = world
      .cli(['backup', 'shop', '--detach'], host)
      .then(() => world.cli(['status', 'backup/shop', '--follow', '--json'], host));
    await until(() => host.err.includes('the copy begins'), 'progress');
    proxy.cut();
    await until(() => host.err.includes('the run is safe, waiting'), 'that the server is away');
    proxy.mend();
    await until(() => host.err.includes('temporal answers again'), 'that it is back');
    world.copy.result = 7;
    const said = await running;
    assert.equal(said.code, 0, said.err);
    assert.deepEqual(said.json['result'], { copied: 7 });
    assert.match(
      said.err,
      /temporal at 127\.0\.0\.1:\d+ (is not reachable|did not answer in time); the run is safe, waiting/,
    );
  });
});

test('without a worker: a run waits and says so, a question is given up', async () => {
  await withCliWorld(async (world) => {
    await world.writeConfig(CONFIG);
    const host = hurriedHost();
    const run = world.cli(['backup', 'shop'], host);
    await until(() => host.err.includes('no worker takes tasks from queue lifeboat'), 'the remark');
    host.interrupt();
    assert.equal((await run).code, 130);
    assert.equal(await statusOf(world, 'backup/shop'), 'RUNNING');

    const question = await world.cli(['list'], hurriedHost());
    assert.equal(question.code, 10);
    assert.match(question.err, /lifeboat: no worker takes tasks from queue lifeboat\n.*next: lifeboat worker\n$/s);

    const given = realTimeHost();
    const interrupted = world.cli(['list'], given);
    await until(() => given.err.includes('no worker takes tasks'), 'the remark');
    given.interrupt();
    assert.equal((await interrupted).code, 130);
    assert.match(given.err, /interrupted before the answer came\n {2}next: run the same command again\n$/);
    // What is listed is a moment behind what is.
    const query = 'WorkflowType = "inspect" AND ExecutionStatus = "Running"';
    let left = ['none was looked for'];
    for (let looks = 0; left.length > 0 && looks < 200; looks++) {
      left = [];
      for await (const { workflowId } of world.client.workflow.list({ query })) left.push(workflowId);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(left, []);
  });
});
