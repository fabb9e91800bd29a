import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fence } from '../../activities/cluster/fence.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { processesOn } from '../../activities/cluster/power.ts';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { FenceResult } from '../../workflows/model/failover-verdict.ts';
import { killed } from '../support/diverged.ts';
import { isStandby } from '../support/failover-pair.ts';
import { nodeUses } from '../support/node-uses.ts';
import type { TestPostgres } from '../support/postgres.ts';
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
      if ((await runningServer(server.dataDir)) === undefined) await server.start().catch(() => undefined);
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
    await killed(server);
    await until('all of it is gone', async () => (await processesOn(server.dataDir)).length === 0 || undefined);
    assert.ok(existsSync(join(server.dataDir, 'postmaster.pid')), 'as a crash leaves it');
    assert.equal((await fenced(use)).outcome, 'confirmed');

    await using _supervisor = new Supervisor(server);
    await until('it is a standby', () => isStandby(server).then((is) => is || undefined, () => undefined)); // prettier-ignore
    const last = await fenced(use);
    assert.equal(last.outcome, 'confirmed', last.found);
    assert.match(last.found, /no server runs|started again on .*, as a standby/);
  }),
);
