import { hostname } from 'node:os';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Config } from '../activities/config/index.ts';
import { checkConfig, loadKeys, payloadConverter, temporalConnect } from '../activities/config/index.ts';
import { toolVersion } from '../activities/config/version.ts';
import type { Log } from '../activities/io/run.ts';
import { plainRun } from '../activities/io/run.ts';
import { serveWal } from '../activities/serve-wal.ts';
import { failure } from '../workflows/model/failure.ts';
import { workflowBundle } from './bundle.ts';
import { composeWorkers } from './compose.ts';
import { jsonLog } from './log.ts';
import { ensureSearchAttributes } from './search-attributes.ts';

export interface WorkerChoice {
  /** Path of lifeboat.yml; default: where the CLI looks. */
  config: string | undefined;
  /** Name of this host in plans and task queues; default: the host name. */
  name?: string;
}

/**
 * Works until SIGINT or SIGTERM: running steps are told to stop and go on elsewhere, or here later; a second signal ends
 * the process at once. Configuration, secrets and keys are checked before the first task is taken.
 */
export async function runWorker(choice: WorkerChoice): Promise<void> {
  const config = checkConfig({ path: choice.config });
  await loadKeys(config);
  const log = jsonLog();
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      log[level === 'ERROR' ? 'error' : 'warn'](message, { ...meta });
    }),
  });
  const connection = await connect(config);
  try {
    const { namespace } = temporalConnect(config.temporal);
    const dataConverter = await payloadConverter(config);
    const searchAttributes = await ensureSearchAttributes(connection, namespace);
    const host = choice.name ?? hostname();
    const { common, own } = composeWorkers({ config, host, tool: toolVersion(), log, searchAttributes });
    const shared = { connection, namespace, ...(dataConverter ? { dataConverter } : {}) };
    const workers = [
      await Worker.create({ ...shared, ...common, workflowBundle: await workflowBundle(), maxCachedWorkflows: 200 }),
      await Worker.create({ ...shared, ...own }),
    ];
    log.info('worker ready', {
      host,
      namespace,
      address: config.temporal.address,
      queues: [common.taskQueue, own.taskQueue],
    });
    await whileWalIsGiven({ config, log }, () => Promise.all(workers.map((worker) => worker.run())));
    log.info('worker stopped', { host });
  } finally {
    await connection.close();
  }
}

/** Servers of this host that recover are given WAL for as long as the work goes on. */
async function whileWalIsGiven(
  { config, log }: { config: Config; log: Log },
  work: () => Promise<unknown>,
): Promise<void> {
  const over = new AbortController();
  const run = plainRun({ signal: over.signal, log });
  const serving = Object.entries(config.sources).flatMap(([source, { wal }]) =>
    wal.fetch ? [serveWal(config, { source, ...wal.fetch }, run)] : [],
  );
  try {
    await work();
  } finally {
    over.abort(new Error('the worker stops'));
    await Promise.allSettled(serving);
  }
}

async function connect(config: Config): Promise<NativeConnection> {
  const { connection } = temporalConnect(config.temporal);
  try {
    return await NativeConnection.connect(connection as Parameters<typeof NativeConnection.connect>[0]);
  } catch (error) {
    throw failure('Unavailable', `temporal at ${connection.address} is not reachable`, {
      place: connection.address,
      expected: 'a Temporal server',
      found: error instanceof Error ? error.message : String(error),
      hint: 'start one: lifeboat dev, or set temporal.address or TEMPORAL_ADDRESS',
      cause: error,
    });
  }
}
