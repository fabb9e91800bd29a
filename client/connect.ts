import { Client, Connection } from '@temporalio/client';
import type { Config } from '../activities/config/index.ts';
import { loadConfig, payloadConverter, temporalConnect } from '../activities/config/index.ts';
import { failure } from '../workflows/model/failure.ts';
import type { Host } from './environment.ts';
import { unlessInterrupted } from './stop.ts';
import { grpcCode, temporalFailure } from './temporal-failure.ts';
import type { Call } from './verb.ts';

/** A namespace of a Temporal server that answered, and the configuration that led there. */
export interface Session extends AsyncDisposable {
  readonly client: Client;
  readonly config: Config;
  /** Runs one call and turns what the client throws into our failures; Ctrl-C ends the wait, not the call. */
  ask<T>(call: () => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Page of a run in the web UI; undefined when no UI is known. */
  runUrl(workflowId: string, runId: string): string | undefined;
}

const CONNECT_MS = 5000;
const CALL_MS = 15_000;
const PROBE_MS = 300;
const GRPC_NOT_FOUND = 5;

/** Loads the configuration and connects; Unavailable with the address when nothing answers there. */
export async function openSession(call: Pick<Call, 'host' | 'configPath'>): Promise<Session> {
  const config = loadConfig({ path: call.configPath, environment: call.host.environment });
  return unlessInterrupted(connect(config, call.host), call.host.interrupted);
}

export async function connect(config: Config, host: Host): Promise<Session> {
  const dataConverter = await payloadConverter(config);
  const { connection: options, namespace } = temporalConnect(config.temporal, host.environment);
  const place = { address: options.address, namespace };
  const connection = await Connection.connect({ ...options, connectTimeout: CONNECT_MS } as never).catch(
    (error: unknown) => {
      throw unreachable(error, place);
    },
  );
  const ask = async <T>(work: () => Promise<T>, deadlineMs = CALL_MS): Promise<T> => {
    try {
      return await unlessInterrupted(connection.withDeadline(host.nowMs() + deadlineMs, work), host.interrupted);
    } catch (error) {
      throw temporalFailure(error, place);
    }
  };
  try {
    await checkNamespace(connection, place, ask);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const ui = config.temporal.ui ?? (await localUi(options.address));
  return {
    client: new Client({ connection, namespace, ...(dataConverter ? { dataConverter } : {}) }),
    config,
    ask,
    runUrl: (workflowId, runId) => ui && runPage(ui, namespace, { workflowId, runId }),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function unreachable(error: unknown, place: { address: string; namespace: string }): unknown {
  const known = temporalFailure(error, place);
  if (known !== error) return known;
  return failure('Unavailable', `temporal at ${place.address} is not reachable`, {
    place: place.address,
    expected: 'a Temporal server',
    found: error instanceof Error ? error.message : String(error),
    hint: 'start one: lifeboat dev, or set temporal.address or TEMPORAL_ADDRESS',
    cause: error,
  });
}

async function checkNamespace(
  connection: Connection,
  { address, namespace }: { address: string; namespace: string },
  ask: Session['ask'],
): Promise<void> {
  try {
    await ask(() => connection.workflowService.describeNamespace({ namespace }));
  } catch (error) {
    if (grpcCode(error) !== GRPC_NOT_FOUND) throw error;
    throw failure('NotFound', `namespace ${namespace} does not exist at ${address}`, {
      place: `temporal.namespace in the configuration, or TEMPORAL_NAMESPACE`,
      expected: 'a namespace of this server',
      found: namespace,
      hint: `temporal operator namespace create ${namespace} --address ${address}`,
      cause: error,
    });
  }
}

function runPage(ui: string, namespace: string, run: { workflowId: string; runId: string }): string {
  const path = ['namespaces', namespace, 'workflows', run.workflowId, run.runId, 'history'];
  return `${ui.replace(/\/+$/, '')}/${path.map(encodeURIComponent).join('/')}`;
}

/** A local dev server has its UI a thousand ports higher; it is named only when it answers. */
async function localUi(address: string): Promise<string | undefined> {
  const [, host, port] = /^(127\.0\.0\.1|localhost|\[::1\]):(\d+)$/.exec(address) ?? [];
  if (host === undefined) return undefined;
  const ui = `http://${host}:${Number(port) + 1000}`;
  try {
    const answer = await fetch(`${ui}/api/v1/settings`, { signal: AbortSignal.timeout(PROBE_MS) });
    await answer.body?.cancel();
    return answer.ok ? ui : undefined;
  } catch {
    return undefined;
  }
}
