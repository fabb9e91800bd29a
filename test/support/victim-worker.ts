import { promises } from 'node:fs';
import { flushCompileCache, syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { checkConfig, temporalConnect } from '../../activities/config/index.ts';
import { toolVersion } from '../../activities/config/version.ts';
import type { Activities } from '../../activities/index.ts';
import { composeWorkers } from '../../workers/compose.ts';
import { jsonLog } from '../../workers/log.ts';
import type { Death, Side, VictimOrders } from './victim.ts';
import { HELD } from './victim.ts';

/** The product's worker, which ends itself where it is told to. Usage: victim-worker.ts ORDERS (JSON of VictimOrders). */
const orders = JSON.parse(process.argv[2] ?? '') as VictimOrders;
const log = jsonLog();
const BEAT_MS = 1000;

type Activity = (argument: unknown) => Promise<unknown>;

/** Nothing runs after it. */
function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

function isPlace(side: Side, activity: string): boolean {
  const death: Death | undefined = orders.dies;
  return death?.side === side && death.activity === activity;
}

function mortal([name, activity]: [string, Activity]): [string, Activity] {
  const wrapped = async (argument: unknown): Promise<unknown> => {
    if (isPlace('before', name)) return die();
    try {
      const result = await activity(argument);
      if (orders.holds === name) await hold(name);
      return result;
    } finally {
      if (isPlace('after', name)) await die();
    }
  };
  return [name, wrapped];
}

/** Until it is cancelled. */
async function hold(name: string): Promise<void> {
  const { cancellationSignal: signal } = Context.current();
  log.info(HELD, { name });
  while (!signal.aborted) {
    Context.current().heartbeat({ phase: HELD });
    await sleep(BEAT_MS, undefined, { signal }).catch(() => undefined);
  }
  throw signal.reason as Error;
}

/** A file of the store is there when its name is: rename(2) and link(2) are how it gets one. */
function dieWhenPublished(): void {
  for (const name of ['rename', 'link'] as const) {
    const original = promises[name];
    promises[name] = async (from, to) => {
      await original(from, to);
      if (String(to).includes('/vault/') && isPlace('published', activityOfNow())) await die();
    };
  }
  syncBuiltinESMExports();
}

function activityOfNow(): string {
  try {
    return Context.current().info.activityType;
  } catch {
    return '';
  }
}

async function run(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR', ({ message, meta }) => log.error(message, { ...meta })) });
  dieWhenPublished();
  const config = checkConfig({ path: orders.config });
  const { connection: options, namespace } = temporalConnect(config.temporal);
  const connection = await NativeConnection.connect(options as Parameters<typeof NativeConnection.connect>[0]);
  const { host } = orders;
  const { common, own } = composeWorkers({ config, host, tool: toolVersion(), log, searchAttributes: true });
  const activities = Object.fromEntries(
    Object.entries(common.activities as Activities).map((entry) => mortal(entry as [string, Activity])),
  );
  const shared = { connection, namespace, activities };
  const workflowBundle = { codePath: orders.bundle };
  const workers = [
    await Worker.create({ ...common, ...shared, workflowBundle, taskQueue: orders.queue ?? common.taskQueue }),
    await Worker.create({ ...own, ...shared }),
  ];
  // Written at the end of a process otherwise, and this one may have none.
  flushCompileCache();
  log.info('worker ready', { host });
  await Promise.all(workers.map((worker) => worker.run()));
  await connection.close();
}

await run();
