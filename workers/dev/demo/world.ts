import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { stringify } from 'yaml';
import { failure } from '../../../workflows/model/failure.ts';
import type { PostgresServer, Stack, StackProcess } from '../stack/index.ts';
import { startStack } from '../stack/index.ts';
import { makeVault, startWorker } from './worker.ts';

const HOST = 'demo';
export const SOURCE = 'shop';
const RTO_MS = 120_000;
export const RPO_MS = 10_000;

/** Everything that the demo runs on. */
export interface World extends AsyncDisposable {
  stack: Stack;
  postgres: PostgresServer;
  client: Client;
  /** lifeboat.yml of the demo. */
  config: string;
  /** Starts a worker; resolves when it takes tasks. */
  startWorker(): Promise<StackProcess>;
}

export async function makeWorld(use: { log(line: string): void; signal: AbortSignal }): Promise<World> {
  const stack = await startStack({ ports: 'free', ...use });
  const { postgres } = stack;
  if (!postgres) throw failure('Bug', 'the stack came without PostgreSQL');
  try {
    const config = await writeConfig(stack, postgres);
    const { address, namespace } = stack.temporal;
    const connection = await Connection.connect({ address });
    let workers = 0;
    return {
      ...{ stack, postgres, config },
      client: new Client({ connection, namespace }),
      startWorker: () => {
        const env = { SHOP_PASSWORD: postgres.password };
        return startWorker(stack, { name: `worker-${++workers}`, config, host: HOST, env, signal: use.signal });
      },
      // The connection stays open: a call of the SDK that waits for its retry would throw on a closed one, at nobody.
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

async function writeConfig(stack: Stack, postgres: PostgresServer): Promise<string> {
  const { dir } = stack;
  const scratch = join(dir, 'restored');
  await mkdir(scratch);
  // The recovered server runs as another user, who has to reach its data directory.
  await Promise.all([chmod(dir, 0o755), chmod(scratch, 0o755)]);
  const { host, port, user, database, binaries, runAs } = postgres;
  const config = {
    ...(await makeVault(stack)),
    sources: {
      [SOURCE]: {
        kind: 'postgres',
        connection: { host, port, user, database, password: { env: 'SHOP_PASSWORD' } },
        store: 'local',
        backup: { partSize: '4MiB' },
        wal: { shipEvery: '1s', heartbeatEvery: '2s' },
        objectives: { rto: `${RTO_MS}ms`, rpo: `${RPO_MS}ms` },
        probes: [{ sql: 'select count(*) > 0 from orders', equals: true }],
        restore: { binaries, runAs, scratch },
      },
    },
  };
  const path = join(dir, 'lifeboat.yml');
  await writeFile(path, stringify(config));
  return path;
}
