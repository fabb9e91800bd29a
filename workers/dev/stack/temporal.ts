import { Connection } from '@temporalio/client';
import { join } from 'node:path';
import { inheritedEnvironment } from '../setup/program.ts';
import type { LocalStack } from './compose-file.ts';
import type { ProcessRequest, StackProcess } from './process.ts';
import { untilReady } from './ready.ts';

const CALL_LIMIT_MS = 2000;

export interface TemporalServer {
  address: string;
  namespace: string;
  /** http://127.0.0.1:PORT */
  ui: string;
  pid: number;
}

export interface TemporalRequest {
  program: string;
  plan: LocalStack['temporal'];
  ports: { grpc: number; ui: number };
  dir: string;
  /** KEY=VALUE with JSON values. */
  dynamicConfig: readonly string[];
  /** Kept over restarts; absent: everything is forgotten. */
  dbFile?: string | undefined;
  searchAttributes: boolean;
  stopSignal: 'TERM' | 'KILL';
  start(request: ProcessRequest): StackProcess;
  signal: AbortSignal;
}

/** A dev server with its UI on loopback; resolves when it answers, and knows the search attributes. */
export async function startTemporal(request: TemporalRequest): Promise<TemporalServer> {
  const { program, plan, ports, dir, signal } = request;
  const attributes = request.searchAttributes ? plan.searchAttributes : [];
  const server = request.start({
    name: 'temporal',
    command: program,
    args: [
      ...['server', 'start-dev', '--ip=127.0.0.1', `--port=${ports.grpc}`, `--ui-port=${ports.ui}`],
      ...[`--namespace=${plan.namespace}`, '--ui-disable-news-fetch'],
      ...attributes.map((attribute) => `--search-attribute=${attribute}`),
      ...request.dynamicConfig.map((setting) => `--dynamic-config-value=${setting}`),
      ...(request.dbFile === undefined ? [] : [`--db-filename=${request.dbFile}`]),
    ],
    cwd: dir,
    logFile: join(dir, 'logs', 'temporal.log'),
    env: inheritedEnvironment(),
    stopSignal: request.stopSignal,
  });
  const address = `127.0.0.1:${ports.grpc}`;
  const ui = `http://127.0.0.1:${ports.ui}`;
  const names = attributes.map((attribute) => attribute.split('=')[0] ?? '');
  const ready = async (): Promise<boolean> => (await knows(address, plan.namespace, names)) && (await answers(ui));
  await untilReady(server, ready, signal);
  return { address, namespace: plan.namespace, ui, pid: server.pid };
}

async function knows(address: string, namespace: string, names: readonly string[]): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: CALL_LIMIT_MS });
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return names.every((name) => name in customAttributes);
  } finally {
    await connection.close();
  }
}

async function answers(ui: string): Promise<boolean> {
  const answer = await fetch(`${ui}/api/v1/settings`, { signal: AbortSignal.timeout(CALL_LIMIT_MS) });
  await answer.body?.cancel();
  return answer.ok;
}
