import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fence } from '../../activities/cluster/fence.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { processesOn } from '../../activities/cluster/power.ts';
import { removeStalePid, runningServer } from '../../activities/io/postgres/server.ts';
import type { FenceResult } from '../../workflows/model/failover-verdict.ts';
import { isStandby } from '../support/failover-pair.ts';
import { nodeUses } from '../support/node-uses.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { withPostgres } from '../support/postgres.ts';
import { until } from '../support/system-until.ts';

/** Only of what hangs. */
const LONG = { timeout: 240_000 };

const LOOK_MS = 20;

const fenced = (use: NodeUse): Promise<FenceResult> => fence(use, { epoch: 1, run: 'r', step: { by: 'agent-stop' } });

/** Brings a server up whenever it is down, as a supervisor does. */
class Supervisor implements AsyncDisposable {
  readonly #loop: Promise<void>;
  #isOver = false;

  constructor(server: TestPostgres) {
    this.#loop = this.#run(server);
  }

  async #run(server: TestPostgres): Promise<void> {
    while (!this.#isOver) {
      if ((await runningServer(server.dataDir)) === undefined) {
        // Both name a process that was killed, and that nobody has asked for yet.
        await removeStalePid(server.dataDir);
        await rm(join(dirname(server.dataDir), `.s.PGSQL.${server.port}.lock`), { force: true });
        await server.start().catch(() => undefined);
      }
      await sleep(LOOK_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }
}

test('agent-stop is confirmed by what is left of a server, not by a list of processes alone', LONG, () =>
  withPostgres({}, async (server) => {
    const [use] = nodeUses([server]);
    const gone = { step: 'stopped by the worker of its host', outcome: 'confirmed' };
    const [first, again] = [await fenced(use), await fenced(use)];
    assert.deepEqual(first, { ...gone, found: `no server runs on ${server.dataDir}; pg_control: shut down` });
    assert.deepEqual(again, first, 'a repeat says the same');
    assert.ok(existsSync(join(server.dataDir, 'standby.signal')));

    // Somebody answers at its address, of whom nobody knows whether that is the same server in a container.
    const other = createServer((socket) => socket.on('error', () => {}).end()).listen(server.port, '127.0.0.1');
    await once(other, 'listening');
    const { outcome, found } = await fenced(use);
    other.close();
    assert.equal(outcome, 'unconfirmed');
    assert.match(found, /^127\.0\.0\.1, port \d+, still takes connections$/);

    await server.start();
    for (const pid of await processesOn(server.dataDir)) process.kill(pid, 'SIGSTOP');
    assert.equal((await fenced(use)).outcome, 'confirmed', 'one that is frozen is ended as it stands');
    assert.deepEqual(await processesOn(server.dataDir), []);
    assert.ok(existsSync(join(server.dataDir, 'postmaster.pid')), 'as a crash leaves it');
    assert.equal((await fenced(use)).outcome, 'confirmed');

    await using _supervisor = new Supervisor(server);
    await until('it is a standby', () => isStandby(server).then((is) => is || undefined, () => undefined)); // prettier-ignore
    const last = await fenced(use);
    assert.equal(last.outcome, 'confirmed', last.found);
    assert.match(last.found, /no server runs|started again on .*, as a standby/);
  }),
);

const CHILD = fileURLToPath(new URL('../support/fence-child.ts', import.meta.url));
const CONTAINED = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const contains = spawnSync('unshare', [...CONTAINED, 'true'], { encoding: 'utf8' });
const skip = contains.status === 0 ? false : `no namespaces of processes here: ${contains.stderr || 'no unshare'}`;

test('a worker in another container than the server does not say that it is fenced', { ...LONG, skip }, () =>
  withPostgres({}, async (server) => {
    // Where it does not listen: only what the server leaves in its files speaks.
    const { dataDir, binaries } = server;
    const seen = JSON.stringify({ dataDir, binaries, port: await freePort() });
    const cases: [more: string[], says: RegExp][] = [
      [[], /^\d+ processes that are not seen from here use its shared memory$/],
      [['--ipc'], /^postmaster\.pid names process \d+, and it may run in another container/],
    ];
    for (const [more, says] of cases) {
      const words = [...CONTAINED, ...more, process.execPath, CHILD, seen];
      const { stdout } = await promisify(execFile)('unshare', words);
      const { outcome, found } = JSON.parse(stdout) as FenceResult;
      assert.equal(outcome, 'unconfirmed');
      assert.match(found, says);
    }
    assert.equal(await isStandby(server), false, 'it serves still');
  }),
);
