import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { failureFacts, findFailure } from '../../../workflows/model/failure.ts';
import type { PointSummary } from '../../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../../workflows/model/recovery.ts';
import { formatBytes } from '../../../workflows/model/units.ts';
import { interruption } from '../interruption.ts';
import { failoverDemo } from './failover/main.ts';
import type { Disaster } from './orders.ts';
import { Orders, recoveredIds } from './orders.ts';
import type { DemoResult } from './outcome.ts';
import { concludeDemo, countOrders, outcomeLines } from './outcome.ts';
import type { Run } from './recovery.ts';
import { killInTheMiddle, startBackup, startRestore, waitForWal } from './recovery.ts';
import type { StackProcess } from '../stack/index.ts';
import { Story } from './story.ts';
import type { World } from './world.ts';
import { makeWorld } from './world.ts';

const USAGE = `npm run demo -- [failover] [--keep] [--json]
  failover  two servers: a switchover under load, a primary that dies, its way back (else: a DELETE, and a recovery)
  --keep    leave everything running at the end (not with failover)
  --json    one JSON object as the last line`;

const LOAD_MS = 2500;

interface Stage {
  world: World;
  story: Story;
  signal: AbortSignal;
}

interface Choice {
  keep: boolean;
  json: boolean;
}

/** What the README's first command shows: acknowledged orders, a disaster, a killed worker, a proven recovery. */
async function demo(choice: Choice, signal: AbortSignal): Promise<DemoResult> {
  const tell = (line: string): void => console.log(line);
  const story = new Story(tell);
  await using resources = new AsyncDisposableStack();
  const world = await makeWorld({ log: tell, signal });
  resources.defer(() => (choice.keep && !signal.aborted ? undefined : world[Symbol.asyncDispose]()));
  story.add('stack', `Temporal UI ${world.stack.temporal.ui}, all files below ${world.stack.dir}`);
  const { result, lines } = await tellStory({ world, story, signal });
  for (const line of lines) console.log(line);
  if (choice.keep) await keep(world);
  return result;
}

async function tellStory(stage: Stage): Promise<{ result: DemoResult; lines: string[] }> {
  const { world, story, signal } = stage;
  const first = await world.startWorker();
  story.add('worker', `worker ${first.pid} takes tasks`);
  const orders = await Orders.create(world.postgres, join(world.stack.dir, 'acknowledged.log'));
  try {
    const backup = await backUp(stage, orders);
    await sleep(LOAD_MS, undefined, { signal });
    const { expected, disaster } = await wreck(stage, orders);
    const recovery = await recoverFrom(stage, { disaster, first });
    await orders.stop();
    const { restored, restore } = recovery;
    const oracle = countOrders(expected, await recoveredIds(world.postgres, restored.open.port));
    const { acknowledged, found, extra } = oracle;
    story.add('oracle', `acknowledged ${acknowledged}, found ${found}, extra ${extra}`, extra === 0 ? 'good' : 'bad');
    const links = [backup, restore].map(({ handle, runId }) => ({
      label: `${handle.workflowId} in the Temporal UI`,
      url: runPage(world, handle.workflowId, runId),
    }));
    const outcome = {
      ...{ story, restore: restored, disaster, oracle, links },
      restoreStartedMs: recovery.startedMs,
      run: `${restore.handle.workflowId} ${restore.runId}`,
      acknowledgedAtMs: orders.acknowledged.map(({ atMs }) => atMs),
      workerKilled: recovery.killedIn !== undefined,
    };
    const result = await concludeDemo(outcome, 'reports');
    return { result, lines: [...outcomeLines(result, restored), ...links.map(({ label, url }) => `${label}: ${url}`)] };
  } finally {
    await orders.close().catch(() => undefined);
  }
}

async function backUp({ world, story, signal }: Stage, orders: Orders): Promise<Run<PointSummary>> {
  orders.start();
  story.add('database', 'orders are written; each acknowledged one is logged', 'good');
  const backup = await startBackup(world);
  const { point, bytes, storedBytes } = await unlessAborted(backup.result, signal);
  const sizes = `${formatBytes(bytes)} as ${formatBytes(storedBytes)}`;
  story.add('vault', `encrypted base backup ${point}: ${sizes}; WAL streams`, 'good');
  return backup;
}

/** The orders that have to come back are those acknowledged before; what is written afterwards must not be there. */
async function wreck(
  { world, story, signal }: Stage,
  orders: Orders,
): Promise<{ expected: Set<string>; disaster: Disaster }> {
  await orders.stop();
  const expected = new Set(orders.acknowledged.map(({ id }) => id));
  const disaster = await orders.deleteAll();
  const { deleted, xid, lsn } = disaster;
  story.add('database', `DELETE FROM orders, no WHERE: ${deleted} orders gone (transaction ${xid})`, 'bad');
  orders.start();
  await unlessAborted(waitForWal(world, lsn, signal), signal);
  story.add('vault', `the WAL up to ${lsn} is in the vault`, 'wait');
  return { expected, disaster };
}

interface Recovery {
  restore: Run<RestoreResult>;
  restored: RestoreResult;
  startedMs: number;
  killedIn: string | undefined;
}

async function recoverFrom(
  { world, story, signal }: Stage,
  { disaster, first }: { disaster: Disaster; first: StackProcess },
): Promise<Recovery> {
  const startedMs = Date.now();
  const restore = await startRestore(world, disaster.xid);
  story.add('recovery', `restore to just before transaction ${disaster.xid}`, 'work');
  const killedIn = await killInTheMiddle(restore, first, signal);
  if (killedIn !== undefined) story.add('worker', `worker ${first.pid} is killed (SIGKILL) in ${killedIn}`, 'bad');
  const second = await world.startWorker();
  story.add('worker', `worker ${second.pid} takes over; the run goes on where it was`, 'good');
  const restored = await unlessAborted(restore.result, signal);
  story.add('recovery', `recovered and proven on port ${restored.open.port}`, 'good');
  return { restore, restored, startedMs, killedIn };
}

function runPage({ stack }: World, workflowId: string, runId: string): string {
  const { ui, namespace } = stack.temporal;
  return `${ui}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

/** Whatever is waited for, Ctrl-C ends it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    work.then(resolve, reject);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    if (signal.aborted) reject(signal.reason as Error);
  });
}

async function keep(world: World): Promise<void> {
  const { stack, postgres, config } = world;
  await stack.leave();
  console.log(`
Everything goes on running, below ${stack.dir}.
  Temporal UI  ${stack.temporal.ui}
  PostgreSQL   postgresql://${postgres.user}:${postgres.password}@${postgres.host}:${postgres.port}/${postgres.database}
  look         SHOP_PASSWORD=${postgres.password} npx lifeboat list --config ${config}
  end it       kill the processes whose command or folder is below ${stack.dir}, then remove it`);
}

/** What is wrong with the words; undefined when they are an order. */
function problemOf(words: readonly string[]): string | undefined {
  const unknown = words.find((word) => !['failover', '--keep', '--json', '--help'].includes(word));
  if (unknown !== undefined) return `option ${unknown} does not exist`;
  if (words.includes('failover') && words.includes('--keep')) return 'option --keep does not go with failover';
  return undefined;
}

async function main(words: readonly string[]): Promise<number> {
  const problem = problemOf(words);
  if (problem !== undefined || words.includes('--help')) {
    console.log(problem === undefined ? USAGE : `lifeboat: ${problem}\n${USAGE}`);
    return problem === undefined ? 0 : 2;
  }
  const choice = { keep: words.includes('--keep'), json: words.includes('--json') };
  const signal = interruption();
  try {
    const result = await (words.includes('failover') ? failoverDemo(signal) : demo(choice, signal));
    if (choice.json) console.log(JSON.stringify(result));
    return result.ok ? 0 : 1;
  } catch (error) {
    console.error(`lifeboat: ${signal.aborted ? 'interrupted; nothing is left behind' : toldOf(error)}`);
    return signal.aborted ? 130 : 1;
  }
}

function toldOf(error: unknown): string {
  return `${findFailure(error)?.message ?? (error as Error).stack}\n${JSON.stringify(failureFacts(error))}`;
}

// Calls that wait for the Temporal server that is gone would keep this process.
process.exit(await main(process.argv.slice(2)));
