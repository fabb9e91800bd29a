import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { stringify } from 'yaml';
import { waitFor } from '../../workers/dev/demo/wait-for.ts';
import type { Stack, StackProcess } from '../../workers/dev/stack/index.ts';
import { startStack } from '../../workers/dev/stack/index.ts';
import { runningServer } from '../../activities/io/postgres/server.ts';
import { plainRun } from '../../activities/io/run.ts';
import { runCommand } from '../../activities/io/run-command.ts';
import { TASK_QUEUE } from '../../workflows/model/names.ts';
import type { TestPostgres } from './postgres.ts';
import { serverUser, withPostgres } from './postgres.ts';
import type { Activities } from '../../activities/index.ts';
import { AcknowledgedOrders } from './system-orders.ts';
import { until } from './system-until.ts';
import { newKeyRing } from './vault.ts';
import type { VictimOrders } from './victim.ts';
import { testBundle } from './workflow-bundle.ts';

/** PENDING_ACTIVITY_STATE_STARTED of temporal.api.enums.v1. */
const STARTED = 2;
const VICTIM = fileURLToPath(new URL('./victim-worker.ts', import.meta.url));
const WORKER = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));

/** The whole product in small: Temporal, a database that acknowledges orders all the time, one vault for everybody. */
export interface System {
  stack: Stack;
  server: TestPostgres;
  orders: AcknowledgedOrders;
  client: Client;
  /** Folder of the store. */
  vault: string;
  /** Results that somebody waits for. */
  awaited: Promise<unknown>[];
  /** A part of the system with workers and a queue of its own; several of them do not hear each other. */
  tenant(choice: TenantChoice): Promise<Tenant>;
}

export interface TenantChoice {
  /** Of its queue, host and scratch folder. */
  name: string;
  /** Source it works on. */
  source: string;
  /** Further keys of the source, and of the file. */
  more?: Record<string, unknown>;
  top?: Record<string, unknown>;
  /** Files beside the configuration, by name. */
  secrets?: Record<string, string>;
  /** Of the product itself, so that its own workers serve it. */
  productQueue?: true;
}

export interface Tenant {
  system: System;
  source: string;
  /** lifeboat.yml. */
  config: string;
  /** Folder of its recovered clusters. */
  scratch: string;
  /** A worker that takes tasks. */
  startWorker(fate?: Pick<VictimOrders, 'dies' | 'holds'>): Promise<StackProcess>;
  /** The same, from the product's own entry; for a tenant of the product's queue. */
  startProductWorker(host?: string): Promise<StackProcess>;
  start<T>(workflow: string, order: object, id: string): Promise<Running<T>>;
}

export interface Running<T> {
  handle: WorkflowHandle;
  result: Promise<T>;
}

/** Everything is gone afterwards. */
export async function withSystem(
  callback: (system: System) => Promise<void>,
  options: { temporalDbFile?: string } = {},
): Promise<void> {
  const settings = {
    max_wal_senders: '60',
    max_replication_slots: '60',
    shared_buffers: '16MB',
    full_page_writes: 'on',
  };
  await withPostgres({ settings }, async (server) => {
    const temporal = options.temporalDbFile === undefined ? {} : { temporal: { dbFile: options.temporalDbFile } };
    await using stack = await startStack({ ...temporal, ports: 'free', postgres: false, log: () => undefined });
    await using orders = await AcknowledgedOrders.start(server);
    const { address, namespace } = stack.temporal;
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    const awaited: Promise<unknown>[] = [];
    try {
      // Recovered servers run as another user, who has to reach their folders.
      await chmod(stack.dir, 0o755);
      await mkdir(join(stack.dir, 'vault'));
      await newKeyRing(join(stack.dir, 'keys'));
      await writeFile(join(stack.dir, 'workflows.js'), (await testBundle()).code);
      const system: System = {
        ...{ stack, server, orders, client, vault: join(stack.dir, 'vault'), awaited },
        tenant: (choice) => tenantOf(system, choice),
      };
      await callback(system);
    } finally {
      await endRuns(client, awaited).catch(() => undefined);
      await connection.close();
    }
  });
}

/** A connection must not be closed under a call that is tried again: the retry would fail where nobody hears it. */
async function endRuns(client: Client, awaited: readonly Promise<unknown>[]): Promise<void> {
  for await (const { workflowId, runId } of client.workflow.list({ query: 'ExecutionStatus = "Running"' }))
    await client.workflow.getHandle(workflowId, runId).terminate('the test is over');
  await Promise.allSettled(awaited);
}

async function tenantOf(system: System, choice: TenantChoice): Promise<Tenant> {
  const { stack, client } = system;
  const { name, source } = choice;
  const scratch = join(stack.dir, 'scratch', name);
  await mkdir(scratch, { recursive: true });
  const config = await writeConfig(system, choice, scratch);
  const queue = choice.productQueue ? TASK_QUEUE : `${TASK_QUEUE}.test.${name}`;
  let workers = 0;
  const ready = async (args: string[]): Promise<StackProcess> => {
    const worker = stack.spawn(`${name}-worker-${++workers}`, process.execPath, args);
    const signal = new AbortController().signal;
    await waitFor({ file: worker.logFile, text: '"worker ready"', ended: worker.exited, signal });
    return worker;
  };
  return {
    ...{ system, source, config, scratch },
    startWorker: (fate = {}) => {
      const orders: VictimOrders = { config, host: name, queue, bundle: join(stack.dir, 'workflows.js'), ...fate };
      return ready([VICTIM, JSON.stringify(orders)]);
    },
    startProductWorker: (host = name) => ready([WORKER, config, host]),
    start: async <T>(workflow: string, order: object, workflowId: string): Promise<Running<T>> => {
      const handle = await client.workflow.start(workflow, { workflowId, taskQueue: queue, args: [order] });
      const result = handle.result() as Promise<T>;
      result.catch(() => undefined);
      system.awaited.push(result);
      return { handle, result };
    },
  };
}

async function writeConfig(system: System, choice: TenantChoice, scratch: string): Promise<string> {
  const { stack, server } = system;
  const { address, namespace } = stack.temporal;
  const keys = join(stack.dir, 'keys');
  const config = {
    temporal: { address, namespace },
    keys: {
      root: { file: join(keys, 'root.key') },
      recovery: { public: join(keys, 'recovery.pub') },
      signing: { file: join(keys, 'signing.key') },
    },
    stores: { local: { kind: 'filesystem', path: system.vault } },
    sources: {
      [choice.source]: {
        ...{ kind: 'postgres', connection: server.connection, store: 'local' },
        backup: { partSize: '4MiB', parallel: 2 },
        wal: { shipEvery: '300ms', heartbeatEvery: '2s' },
        restore: { binaries: server.binaries, scratch, ...runAs(), settings: { shared_buffers: '16MB' } },
        ...choice.more,
      },
    },
    ...choice.top,
  };
  for (const [name, value] of Object.entries(choice.secrets ?? {})) {
    await writeFile(join(stack.dir, name), value, { mode: 0o600 });
  }
  const path = join(stack.dir, `${choice.name}.yml`);
  await writeFile(path, stringify(config));
  return path;
}

function runAs(): { runAs?: string } {
  return process.getuid?.() === 0 ? { runAs: serverUser().name } : {};
}

/** Resolves when a worker has an activity of a run in its hands; which worker, and since when. */
export function inStep(
  { handle }: Pick<Running<unknown>, 'handle'>,
  names: readonly (keyof Activities)[],
  attempt = 1,
): Promise<{ name: string; startedMs: number; worker: string }> {
  return until(`${handle.workflowId} in ${names.join(' or ')}`, async () => {
    const described = await handle.describe().catch(notYet);
    const step = described?.raw.pendingActivities?.find(
      (activity) =>
        activity.state === STARTED &&
        (activity.attempt ?? 0) >= attempt &&
        names.some((name) => name === activity.activityType?.name),
    );
    if (!step) return undefined;
    return {
      name: step.activityType?.name ?? '',
      startedMs: Number(step.lastStartedTime?.seconds ?? 0) * 1000,
      worker: step.lastWorkerIdentity ?? '',
    };
  });
}

/** Somebody else starts it. */
function notYet(error: unknown): undefined {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

/** Data directories below a tenant's scratch folder, and whether a server runs on them. */
export async function recoveredIn({ scratch }: Pick<Tenant, 'scratch'>): Promise<string[]> {
  return (await readdir(scratch)).filter((name) => name !== 'reports');
}

/** Ends a recovered server that has been looked at. */
export async function stopRecovered({ system }: Tenant, dataDirectory: string): Promise<void> {
  if ((await runningServer(dataDirectory)) === undefined) return;
  const { uid, gid } = serverUser();
  const as = uid === undefined || gid === undefined ? {} : { as: { uid, gid } };
  const args = ['-D', dataDirectory, '-m', 'immediate', '-w', 'stop'];
  await runCommand(join(system.server.binaries, 'pg_ctl'), args, { ...as, signal: plainRun().signal });
}
