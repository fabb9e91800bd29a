import { readdir, rm, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { ackUpdate, overSignal, refreshSignal } from '../../workflows/messages.ts';
import { failure } from '../../workflows/model/failure.ts';
import { digestOf } from '../../workflows/model/outage.ts';
import { clusterOf, DB_C, observationBy, primaryState, standbyState, WATCH } from '../support/failover-answers.ts';
import { cloned } from '../support/drill-answers.ts';
import { AUTOMATIC, DEAD } from '../support/failover-story.ts';
import { FORK, LEFT, oldNode } from '../support/rejoin-answers.ts';
import { approve, pendingOf, refuse, Switchboard } from '../support/switchboard.ts';
import { answers, dumpAnswers, factsOf, untilCancelled } from '../support/workflow-answers.ts';
import type { Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';
import type { Recording } from './recording.ts';
import { impersonal } from './recording.ts';

/**
 * Records the histories that replay.test.ts replays: node test/replay/record.ts [NAME...]. Run it when a workflow changes on
 * purpose; once a version is out, the histories of that version stay and the change goes through `patched`. With names, only those.
 */

const broken = (): never => {
  throw failure('Integrity', 'part 3 is damaged', { expected: 'sha256 aa', found: 'sha256 bb', hint: 'lifeboat list' });
};

const otherCluster = (): never => {
  const evidence = { otherCluster: { expected: '7312345678901234567', found: '8' } };
  throw failure('Precondition', 'source shop is another cluster than the one in its vault', { evidence });
};

const LOOK_MS = 20;
const HOLE = { systemId: '7312345678901234567', timeline: 1, from: '0/1', to: '0/2' };

const lost = (): never => {
  throw failure('Integrity', 'WAL from 0/1 to 0/2 is lost', { evidence: { hole: HOLE } });
};

const LOSS = {
  ...{ scenario: 'recent-loss', by: 'anna' },
  target: { kind: 'time', time: '2026-01-05T03:00:14.000000Z', inclusive: true },
};

const RESCUE = { by: 'anna', onlyDatabase: 'crm', tables: ['public.orders'] };

const WATCHED: StartOptions = { isInRealTime: true, order: (service) => ({ service }) };

/** It is dead from the second look on; the failover that is started finds it alive. */
function watchedDead(): NonNullable<StartOptions['script']> {
  const primary = { reached: 'refused', running: false, role: undefined, written: undefined } as never;
  const dead = observationBy('db1', { primary, standby: { hears: false } });
  const { rules } = WATCH;
  const eager = { ...WATCH, rules: { ...rules, automatic: true, afterMs: { ...rules.afterMs, process: 200 } } };
  return {
    describeCluster: ({ service }) => clusterOf(service, { watch: eager }),
    observeCluster: ({ seen }) => {
      if (seen === undefined) return observationBy('db1');
      return seen === digestOf(dead.sights) ? untilCancelled() : dead;
    },
  };
}

function withThree({ service }: { service: string }): unknown {
  return clusterOf(service, { ...AUTOMATIC, nodes: [...clusterOf(service).nodes, DB_C] });
}

/** db-a follows db-b, and they change places without an approval. */
const BACK: Script = {
  describeCluster: ({ service }) => clusterOf(service, AUTOMATIC),
  locateTraffic: () => ({ traffic: { 'db-b.example:5432': 100 }, token: 0 }),
  moveTraffic: () => ({ ok: true, found: 'as asked' }),
  observeNode: ({ node }) =>
    node === 'db-b'
      ? primaryState(node, { timeline: 2 })
      : standbyState(node, { timeline: 2, receiver: { status: 'streaming', timeline: 2 } }),
};

const RECORDINGS: Record<string, Recording> = {
  'backup-done': { workflow: 'backup' },
  'backup-cancelled': { workflow: 'backup', cancelAt: 'takeBackup' },
  'backup-failed': { workflow: 'backup', options: { script: { awaitWal: broken } } },
  'backup-dump': { workflow: 'backup', options: { script: dumpAnswers } },
  'restore-done': { workflow: 'restore' },
  'restore-dump': { workflow: 'restore', options: { script: dumpAnswers } },
  'restore-preview': { workflow: 'restore', options: { input: { preview: true } } },
  'restore-cancelled': { workflow: 'restore', cancelAt: 'fetchBase' },
  'restore-not-proven': {
    workflow: 'restore',
    options: { script: { proveCluster: async (given) => ({ ...(await answers.proveCluster(given)), ok: false }) } },
  },
  'restore-brought': { workflow: 'restore', options: { input: { onlyDatabase: 'crm', intoDatabase: 'crm_before' } } },
  'rescue-done': {
    workflow: 'rescue',
    options: { input: RESCUE, isInRealTime: true },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'rescue-refused': {
    workflow: 'rescue',
    options: { input: RESCUE, isInRealTime: true },
    meanwhile: async (run) => {
      await pendingOf(run);
      await refuse(run, { by: 'ben', reason: 'not today' });
    },
  },
  'rescue-compared': { workflow: 'rescue', options: { input: { ...RESCUE, compareOnly: true } } },
  'drill-done': { workflow: 'drill' },
  'drill-failed': { workflow: 'drill', options: { script: { replayWal: broken } } },
  'recover-done': {
    workflow: 'recover',
    options: { input: { scenario: 'complete-loss', by: 'anna' }, script: new Switchboard().script, isInRealTime: true },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'recover-corruption': {
    workflow: 'recover',
    options: {
      ...{ input: { scenario: 'corruption', by: 'anna' }, isInRealTime: true },
      script: { ...new Switchboard().script, proveCluster: badAtFirst() },
    },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'recover-files': {
    workflow: 'recover',
    options: {
      ...{ input: { ...LOSS, scenario: 'corruption' }, isInRealTime: true },
      script: {
        ...new Switchboard().script,
        findDamaged: () => ({ from: 'files', host: 'db1', directory: '/data', state: 'not shut down (in production)' }),
      },
    },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'recover-refused': {
    workflow: 'recover',
    options: { input: LOSS, script: new Switchboard().script, isInRealTime: true },
    meanwhile: async (run) => {
      await pendingOf(run);
      await refuse(run, { by: 'ben', reason: 'not today' });
    },
  },
  'recover-failed': {
    workflow: 'recover',
    options: { input: LOSS, script: { ...new Switchboard().script, replayWal: broken } },
  },
  'failover-planned': {
    workflow: 'failover',
    options: { order: orderOf({ mode: 'planned' }), script: new Switchboard().script, isInRealTime: true },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'failover-three': {
    workflow: 'failover',
    options: {
      ...{ order: orderOf({ mode: 'planned' }), isInRealTime: true },
      script: { ...new Switchboard().script, describeCluster: withThree },
    },
  },
  'failover-taken-back': {
    workflow: 'failover',
    options: {
      ...{ order: orderOf({ mode: 'planned' }), isInRealTime: true },
      script: { ...new Switchboard().script, awaitReceived: broken },
    },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'failover-preview': { workflow: 'failover', options: { order: orderOf({ mode: 'planned', dryRun: true }) } },
  'failover-unplanned': {
    workflow: 'failover',
    options: {
      ...{ order: orderOf({ mode: 'unplanned', breakGlass: 'the site burns' }), isInRealTime: true },
      script: { ...new Switchboard().script, ...DEAD },
    },
    meanwhile: async (run) => {
      const { evidence } = await pendingOf(run);
      for (const by of ['ben', 'carl']) await approve(run, { by, hash: evidence.hash });
    },
  },
  'failover-refused': {
    workflow: 'failover',
    options: {
      ...{ order: orderOf({ mode: 'unplanned', breakGlass: 'the site burns' }), isInRealTime: true },
      script: { ...new Switchboard().script, ...DEAD },
    },
    meanwhile: async (run) => {
      await pendingOf(run);
      await refuse(run, { by: 'ben', reason: 'not today' });
    },
  },
  'failoverDrill-done': {
    workflow: 'failoverDrill',
    options: { order: (service) => ({ service }), script: { ...new Switchboard().script, ...cloned() } },
  },
  'failoverDrill-failed': {
    workflow: 'failoverDrill',
    options: { order: (service) => ({ service }), script: { ...new Switchboard().script, checkClone: broken } },
  },
  'failoverDrill-cancelled': {
    workflow: 'failoverDrill',
    options: { order: (service) => ({ service }), script: new Switchboard().script, isInRealTime: true },
    cancelAt: 'promoteNode',
  },
  'ready-done': { workflow: 'ready', options: { order: (service) => ({ service }) } },
  'watch-cancelled': { workflow: 'watch', options: WATCHED, cancelAt: 'observeCluster' },
  'watch-outage': {
    workflow: 'watch',
    options: { ...WATCHED, script: watchedDead() },
    meanwhile: async (run) => {
      while (!run.of('notify').some(({ body }) => body.includes('not by itself'))) await setTimeout(LOOK_MS);
      await run.handle.cancel();
    },
  },
  'rejoin-rewound': {
    workflow: 'rejoin',
    options: { order: rejoinOf(), script: LEFT, isInRealTime: true },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'rejoin-reseeded': {
    workflow: 'rejoin',
    options: {
      ...{ order: rejoinOf(), isInRealTime: true },
      script: { ...LEFT, rewindNode: () => ({ ok: false, said: 'exit 1' }) },
    },
    meanwhile: async (run) => approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash }),
  },
  'rejoin-followed': {
    workflow: 'rejoin',
    options: { order: rejoinOf(), script: { ...LEFT, examineNode: () => oldNode({ endLsn: FORK }) } },
  },
  'rejoin-refused': {
    workflow: 'rejoin',
    options: { order: rejoinOf(), script: LEFT, isInRealTime: true },
    meanwhile: async (run) => {
      await pendingOf(run);
      await refuse(run, { by: 'ben', reason: 'not today' });
    },
  },
  'rejoin-preview': { workflow: 'rejoin', options: { order: rejoinOf({ dryRun: true }), script: LEFT } },
  'failback-done': {
    workflow: 'failback',
    options: { order: (service) => ({ service, by: 'anna', soakMs: 30_000 }), script: BACK },
  },
  'verify-done': { workflow: 'verify', options: { input: { point: '20260105T030004Z-1a2b3c4d-1' } } },
  'verifyAll-done': { workflow: 'verifyAll' },
  'verifyWal-done': { workflow: 'verifyWal', options: { input: { since: '2026-01-05T00:00:00Z' } } },
  'compactWal-done': { workflow: 'compactWal' },
  'extract-done': {
    workflow: 'extract',
    options: { input: { point: '20260105T030004Z-1a2b3c4d-1', file: 'PG_VERSION', to: '/srv/version' } },
  },
  'retention-done': { workflow: 'retention' },
  'retention-failed': { workflow: 'retention', options: { script: { removePoints: broken } } },
  'hold-done': { workflow: 'hold', options: { input: { point: '20260105T030004Z-1a2b3c4d-1', reason: 'case 12' } } },
  'inspect-done': { workflow: 'inspect', options: { order: () => ({ what: 'points' }) } },
  'wal-cancelled': { workflow: 'wal', cancelAt: 'streamWal' },
  'wal-hole': { workflow: 'wal', options: { script: { streamWal: afterHole() } }, cancelAt: 'notify' },
  'wal-new-base': {
    workflow: 'wal',
    options: { script: { streamWal: afterHole(), describeSource: wantsNewBase } },
    cancelAt: 'notify',
  },
  'wal-other-cluster': {
    workflow: 'wal',
    options: { script: { streamWal: afterHole(), describeSource: wantsNewBase, checkBackup: otherCluster } },
    meanwhile: async (run) => {
      while (!run.of('notify').some(({ title }) => title.endsWith('stays open'))) await setTimeout(LOOK_MS);
      await run.handle.cancel();
    },
  },
  'wal-surplus': {
    workflow: 'wal',
    options: { input: { stream: 2 }, script: { describeSource: fewerStreams() } },
    meanwhile: async (run) => {
      while (run.of('streamWal').length === 0) await setTimeout(LOOK_MS);
      await run.handle.signal(refreshSignal);
    },
  },
  'backup-told': {
    workflow: 'backup',
    options: { script: { describeSource: wantsToBeTold, awaitWal: broken }, isInRealTime: true },
  },
  'backup-well': { workflow: 'backup', options: { script: { describeSource: wantsToBeTold } } },
  'recover-acknowledged': {
    workflow: 'recover',
    options: {
      ...{ input: { scenario: 'complete-loss', by: 'anna' }, isInRealTime: true },
      script: { ...new Switchboard().script, describeSource: wantsToBeTold },
    },
    meanwhile: async (run) => {
      const { evidence } = await pendingOf(run);
      while (run.of('notify').length === 0) await setTimeout(LOOK_MS);
      await run.handle.executeUpdate(ackUpdate, { args: [{ by: 'ben' }] });
      await approve(run, { by: 'ben', hash: evidence.hash });
    },
  },
  'notices-over': {
    workflow: 'notices',
    options: { order: leftBy, isInRealTime: true },
    meanwhile: async (run) => {
      while (run.of('notify').length === 0) await setTimeout(LOOK_MS);
      await run.handle.executeUpdate(ackUpdate, { args: [{ by: 'ben' }] });
      await run.handle.signal(overSignal);
    },
  },
  'scheduled-started': {
    workflow: 'scheduled',
    options: { order: (source) => ({ workflow: 'backup', input: { source } }) },
  },
};

/** Good at the end of the base, and from the third moment on. */
function badAtFirst(): (given: Parameters<typeof answers.proveCluster>[0]) => unknown {
  let looks = 0;
  return async (given) => {
    const proof = await answers.proveCluster(given);
    looks += 1;
    return looks === 1 ? { ...proof, ok: false } : proof;
  };
}

function orderOf(order: object): (service: string) => unknown {
  return (service) => ({ service, to: 'west', by: 'anna', ...order });
}

function rejoinOf(order: object = {}): (service: string) => unknown {
  return (service) => ({ service, node: 'db-a', by: 'anna', ...order });
}

function afterHole(): () => unknown {
  let attempt = 0;
  return () => (++attempt === 1 ? lost() : untilCancelled());
}

function wantsNewBase({ source }: { source: string }): unknown {
  return factsOf(source, { newBaseAfterHole: true });
}

/** Two streams when the run begins, one from then on. */
function fewerStreams(): (given: { source: string }) => unknown {
  let looks = 0;
  return ({ source }) => factsOf(source, { walStreams: ++looks === 1 ? 2 : 1 });
}

function wantsToBeTold({ source }: { source: string }): unknown {
  const notifiers = [
    { name: 'pager', tells: { P1: 0, P2: 0 } },
    { name: 'mail', tells: { P1: 900_000, P2: 900_000 } },
  ];
  return factsOf(source, { notifiers, escalation: [{ to: 'lead', afterMs: 900_000 }] });
}

/** A message that is due, and one that is kept back. */
function leftBy(source: string): unknown {
  const group = `backup/${source}`;
  const at = '2026-01-05T03:00:14.000Z';
  const shared = { severity: 'critical', title: `backup of ${source} failed`, body: 'disk of the test is broken' };
  const said = { ...shared, key: `${group}/1`, group, state: 'open', at };
  const waiting = [
    { to: 'pager', dueAt: at, said },
    { to: 'mail', dueAt: '2099-01-05T03:00:14.000Z', said },
  ];
  return { source, run: group, carried: { groups: [{ ...shared, group, told: [] }], waiting } };
}

async function record(
  world: WorkflowWorld,
  { workflow, options = {}, cancelAt, meanwhile }: Recording,
): Promise<TestRun> {
  const reached = Promise.withResolvers<void>();
  const before: StartOptions['before'] = async (_, name) => {
    if (name !== cancelAt) return;
    reached.resolve();
    // The message goes out; everything else works until it is stopped.
    if (name !== 'notify') await untilCancelled();
  };
  const run = await world.start(workflow, { ...options, before });
  await meanwhile?.(run);
  if (cancelAt !== undefined) {
    await reached.promise;
    await run.handle.cancel();
  }
  await run.handle.result().catch(() => undefined);
  return run;
}

const folder = fileURLToPath(new URL('histories/', import.meta.url));
const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
for (const file of await readdir(folder).catch(() => []))
  if (isWanted(file.replace('.json', ''))) await rm(folder + file);
await withWorkflows({}, async (world) => {
  for (const [name, recording] of Object.entries(RECORDINGS).filter(([each]) => isWanted(each))) {
    const { handle } = await record(world, recording);
    const history = JSON.parse(historyToJSON(await handle.fetchHistory())) as { events: Record<string, unknown>[] };
    await writeFile(
      `${folder}${name}.json`,
      `${JSON.stringify({ workflow: recording.workflow, history }, impersonal)}\n`,
    );
  }
});
