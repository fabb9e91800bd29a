import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { processesOn } from '../../activities/cluster/power.ts';
import { askPort } from '../../activities/io/port-probe.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { FailoverResult } from '../../workflows/model/failover.ts';
import { ask } from '../support/cli-ask.ts';
import { addressIn, Hammer, hammeredIn, isStandby } from '../support/failover-pair.ts';
import type { Cut } from '../support/network-sites.ts';
import { noNamespaces } from '../support/network-sites.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { caughtUp } from '../support/standby.ts';
import { until } from '../support/system-until.ts';
import type { ThreeSites } from '../support/three-sites.ts';
import { withThreeSites } from '../support/three-sites.ts';
import { sees, urges } from '../support/watched.ts';

const UNPLANNED = ['failover', 'web', '--to', 'west', '--unplanned', '--as', 'anna'];

function bothWays(one: 'east' | 'west', other: 'west' | 'office'): Cut[] {
  return [
    { from: one, to: other },
    { from: other, to: one },
  ];
}

async function refusedFor(says: RegExp, { world, a, b }: ThreeSites): Promise<void> {
  const { code, json } = await world.cli([...UNPLANNED, '--json']);
  assert.equal(code, 5, JSON.stringify(json));
  assert.match(JSON.stringify(json['error']), says);
  assert.deepEqual([await isStandby(a), await isStandby(b)], [false, true]);
}

/** What the office has told the watch of a node. */
async function officeSees({ world }: ThreeSites, node: string, reached: string): Promise<void> {
  await until(`the office sees that ${node} is ${reached}`, async () => {
    const { events } = await world.client.workflow.getHandle('watch/web').fetchHistory();
    const told = (events ?? []).flatMap(
      ({ activityTaskCompletedEventAttributes: done }) => done?.result?.payloads ?? [],
    );
    const looks = told.map(({ data }) => JSON.parse(Buffer.from(data ?? []).toString() || 'null') as Look | null);
    const last = looks.findLast((look) => look?.host === 'office');
    return last?.sights?.some((sight) => sight.node === node && sight.reached === reached) || undefined;
  });
}

interface Look {
  host?: string;
  sights?: { node: string; reached: string }[];
}

const ANSWER_MS = 500;

/** On the host of a server, past all networks; its writes wait for no standby. */
async function localClient(server: TestPostgres, limitMs: number): Promise<pg.Client> {
  const { user, database, port } = server.connection;
  const place = { host: dirname(server.dataDir), port, user, database };
  const client = new pg.Client({ ...place, connectionTimeoutMillis: limitMs, query_timeout: limitMs });
  client.on('error', () => {});
  await client.connect();
  await client.query('set synchronous_commit = local');
  return client;
}

const SAMPLE_MS = 50;

/** Writes at each server, on its own host, all the time; with which number of a run it was touched last, and whether it took that. */
class Sampler implements AsyncDisposable {
  readonly samples: { node: string; epoch: number }[][] = [];
  readonly #servers: [string, TestPostgres][];
  readonly #clients = new Map<string, pg.Client>();
  readonly #loop: Promise<void>;
  #isOver = false;

  constructor(servers: Record<string, TestPostgres>) {
    this.#servers = Object.entries(servers);
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.samples.push((await Promise.all(this.#servers.map((each) => this.#takes(each)))).flat());
      await sleep(SAMPLE_MS);
    }
  }

  async #takes([node, server]: [string, TestPostgres]): Promise<{ node: string; epoch: number }[]> {
    try {
      const client = this.#clients.get(node) ?? (await localClient(server, ANSWER_MS));
      this.#clients.set(node, client);
      const text = await readFile(join(server.dataDir, 'lifeboat.epoch'), 'utf8').catch(() => '{"epoch":0}');
      await client.query('insert into sample default values');
      return [{ node, epoch: (JSON.parse(text) as { epoch: number }).epoch }];
    } catch {
      // Down, frozen, or a standby.
      void this.#clients.get(node)?.end().catch(() => undefined); // prettier-ignore
      this.#clients.delete(node);
      return [];
    }
  }

  /** The most servers that took writes in one sample, of all that had the newest number by then. */
  most(): number {
    let newest = 0;
    let most = 0;
    for (const sample of this.samples) {
      newest = Math.max(newest, ...sample.map(({ epoch }) => epoch));
      most = Math.max(most, sample.filter(({ epoch }) => epoch === newest).length);
    }
    return most;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#loop;
    await Promise.all([...this.#clients.values()].map((client) => client.end()));
  }
}

async function signalled(server: TestPostgres, signal: NodeJS.Signals): Promise<void> {
  for (const pid of await processesOn(server.dataDir)) process.kill(pid, signal);
}

/** Nothing that is cut is gone: nobody is promoted, and what is cut is told for what it is. */
async function cutLinks(scene: ThreeSites): Promise<void> {
  const { world, sites, a, b } = scene;
  const streams = async (): Promise<true | undefined> =>
    (await b.sql(`select 1 from pg_stat_wal_receiver where status = 'streaming'`)).length === 1 || undefined;
  await sites.cut(...bothWays('east', 'west'));
  await sees(world, /db-a serves, and its standby does not hear it/);
  // In one direction: what the standby says arrives, and it hears nothing.
  await sites.mend({ from: 'west', to: 'east' });
  await refusedFor(/it lives/, scene);
  await sites.mend({ from: 'east', to: 'west' });
  await until('it streams again', streams);

  await sites.cut(...bothWays('east', 'office'));
  await sees(world, /db-a serves, and not all reach it/);
  await refusedFor(/it lives/, scene);
  await sites.mend(...bothWays('east', 'office'));
  await sees(world, /db-a serves$/);

  await sites.cut(...bothWays('west', 'office'));
  await officeSees(scene, 'db-b', 'unreachable');
  await refusedFor(/it lives/, scene);
  await sites.mend(...bothWays('west', 'office'));
  await officeSees(scene, 'db-b', 'answers');
  await sees(world, /db-a serves$/);
  await caughtUp(a, b);
}

/** A host that stands still, and wakes up when another one has taken its place. */
async function freezeAndThaw(scene: ThreeSites, hammer: Hammer): Promise<void> {
  const { world, a, b, lb, worker } = scene;
  await signalled(a, 'SIGSTOP');
  const command = await urges(
    world,
    /db-a takes connections and answers nothing: lifeboat failover web --to west --unplanned$/,
  );
  assert.doesNotMatch(command, /--since/, 'nobody knows until when it wrote');
  await worker.stop('SIGKILL');
  const before = hammer.of('db-a');
  await ask(world, ...UNPLANNED, '--detach');
  // The fence has also stopped the candidate's replay: it is asked to be promoted, and stays a standby.
  const mark = join(b.dataDir, 'lifeboat.promoting');
  await until('it is asked', () => existsSync(mark) || undefined);
  assert.deepEqual([await isStandby(b), await readFile(mark, 'utf8')], [true, '1']);
  assert.deepEqual((await lb.state()).traffic, {});
  process.kill(await startupOf(b), 'SIGCONT');
  const result = (await world.client.workflow.getHandle('failover/web').result()) as FailoverResult;
  assert.deepEqual(result.fence?.map(({ outcome }) => outcome), ['unconfirmed', 'confirmed']); // prettier-ignore
  assert.equal(existsSync(mark), false);
  assert.deepEqual((await lb.state()).traffic, { [addressIn(b)]: 100 });
  // It had brought along that commits wait for a standby, and has none.
  assert.equal(result.promotion.waitedFor, '*');
  assert.match(result.next[0] ?? '', /db-b acknowledges commits alone: synchronous_standby_names was '\*'/);
  await hammer.hits('db-b');
  const there = await hammeredIn(b);
  assert.deepEqual(before.filter((id) => !there.has(id)), []); // prettier-ignore

  await signalled(a, 'SIGCONT');
  // A supervisor that brings it up once more brings up a primary: nobody could put its signal file there.
  await a.stop('immediate');
  await a.start();
  const zombie = await localClient(a, 10_000);
  await zombie.query(`insert into hammer values ('zombie')`).finally(() => zombie.end());
  const { host, port } = a.connection;
  assert.equal(await askPort({ host, port, withinMs: 1_000 }, plainRun()), 'silent', 'no client gets there');
  assert.deepEqual(hammer.turns(), ['db-a', 'db-b']);
}

async function startupOf(server: TestPostgres): Promise<number> {
  const [row] = await server.sql(`select pid from pg_stat_activity where backend_type = 'startup'`);
  return Number(row?.['pid']);
}

test(
  'cut in silence, frozen and thawed: three sites in networks of their own, on PostgreSQL 18',
  { timeout: 300_000, skip: noNamespaces() ?? false },
  () => {
    let fence: Cut = { from: 'east' };
    let script = '';
    return withThreeSites(
      {
        more: (sites, { a, b }) => {
          fence = { from: 'east', port: a.port };
          script = join(dirname(b.dataDir), 'fence');
          const power = { by: 'command', name: 'network', host: 'office', run: [script] };
          return {
            ...{
              connection: { user: 'postgres', connectTimeout: '1s', tls: { mode: 'disable' } },
              objectives: { rpo: '1h' },
            },
            limits: { drain: '1s', outage: '5m', look: '5s' },
            approvals: { unplanned: { of: 1 }, breakGlass: { of: 1 } },
            fence: [{ by: 'agent-stop' }, power],
            watch: { every: '500ms', after: { process: '1s', frozen: '1s', host: '1h', site: '1h', cut: '1h' }, witnesses: ['office'] }, // prettier-ignore
          };
        },
      },
      async (scene) => {
        const { world, sites, a, b } = scene;
        await a.sql('create table sample (at timestamptz default now())');
        await writeFile(script, `#!/bin/sh\n${sites.cutCommand(fence)} && kill -STOP ${await startupOf(b)}\n`);
        await chmod(script, 0o755);
        await ask(world, 'watch', 'web');
        await sees(world, /db-a serves$|watch db-a, db-b/);
        await cutLinks(scene);
        await using hammer = new Hammer({ 'db-a': a, 'db-b': b });
        await using sampler = new Sampler({ 'db-a': a, 'db-b': b });
        await hammer.hits('db-a');
        await freezeAndThaw(scene, hammer);
        assert.deepEqual([sampler.most(), sampler.samples.length > 20], [1, true]);
      },
    );
  },
);
