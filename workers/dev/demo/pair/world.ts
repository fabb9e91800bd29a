import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ensureTools } from '../../setup/index.ts';
import { freePort } from '../../../../activities/io/free-port.ts';
import { checkReachable, serverUser } from '../../stack/server-user.ts';
import type { Stack, StackProcess } from '../../stack/index.ts';
import { startStack } from '../../stack/index.ts';
import { makeVault, startWorker } from '../worker.ts';
import type { Balancer } from './balancer.ts';
import { startBalancer } from './balancer.ts';
import type { CommandLine } from './command-line.ts';
import { commandLine } from './command-line.ts';
import { ACCESS, ClusterServer } from './server.ts';

export const SOURCE = 'shop';
export const SERVICE = 'web';
const ENV = { SHOP_PASSWORD: ACCESS.password };
const PASSWORD = { env: 'SHOP_PASSWORD' };

/** A service on two servers at two sites, each with a worker of its own, and where its clients are sent. */
export interface PairWorld extends AsyncDisposable {
  stack: Stack;
  /** The primary at the beginning, and its standby. */
  a: ClusterServer;
  b: ClusterServer;
  balancer: Balancer;
  lifeboat: CommandLine;
}

export interface PairUse {
  /** Hosts without a server whose workers only look. */
  witnesses?: readonly string[];
  /** Keys of `cluster` in lifeboat.yml beside the nodes and how to log in. */
  cluster: Record<string, unknown>;
  log(line: string): void;
  signal: AbortSignal;
}

/** Everything runs when it resolves. Disposing ends all of it, and leaves no file. */
export async function makePairWorld(use: PairUse): Promise<PairWorld> {
  const { signal, log, witnesses = [] } = use;
  await using resources = new AsyncDisposableStack();
  const { postgres18: binaries } = await ensureTools(['postgres18'], { log, signal });
  const stack = resources.use(await startStack({ ports: 'free', postgres: false, log, signal }));
  // Its servers run as another user, who has to reach their data directories.
  await chmod(stack.dir, 0o755);
  await checkReachable(stack.dir, serverUser());
  const serverOf = async (node: string, site: string): Promise<ClusterServer> =>
    new ClusterServer({ node, site, home: join(stack.dir, node), port: await freePort(), binaries, signal });
  const [a, b] = [await serverOf('db-a', 'east'), await serverOf('db-b', 'west')];
  const balancer = resources.use(await startBalancer(a.address));
  const config = await writeConfig(stack, { ...use, servers: [a, b], balancer });
  resources.defer(async () => void (await Promise.all([a, b].map((server) => server.end()))));
  const workers: StackProcess[] = [];
  // A worker may be about to start a server.
  resources.defer(() => ended(workers));
  await allOf([
    a.make().then(() => b.follow(a)),
    ...[a.site, b.site, ...witnesses].map(async (host) => {
      workers.push(await startWorker(stack, { name: `worker-${host}`, config, host, env: ENV, signal }));
    }),
  ]);
  const owned = resources.move();
  return {
    ...{ stack, a, b, balancer, lifeboat: commandLine({ config, env: ENV, signal }) },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ended(workers: readonly StackProcess[]): Promise<void> {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map(({ exited }) => exited));
}

/** What still runs when one fails is waited for, so that it makes nothing that is being removed. */
async function allOf(works: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(works);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

async function writeConfig(
  stack: Stack,
  { servers, balancer, cluster }: PairUse & { servers: readonly ClusterServer[]; balancer: Balancer },
): Promise<string> {
  const { user, database } = ACCESS;
  const nodes = servers.map(({ node, site, dataDir, port, binaries }) => [
    node,
    { site, host: site, dataDir, address: '127.0.0.1', port, start: { by: 'pg_ctl', binaries } },
  ]);
  const config = {
    ...(await makeVault(stack)),
    sources: {
      [SOURCE]: {
        kind: 'postgres',
        connection: { host: servers.map(({ address }) => address), user, database, password: PASSWORD },
        store: 'local',
      },
    },
    switches: { balancer: { kind: 'http', url: balancer.url } },
    services: {
      [SERVICE]: {
        source: SOURCE,
        traffic: ['balancer'],
        cluster: {
          nodes: Object.fromEntries(nodes) as object,
          connection: { user, database, password: PASSWORD },
          replication: { user, password: PASSWORD },
          ...cluster,
        },
      },
    },
  };
  const path = join(stack.dir, 'lifeboat.yml');
  await writeFile(path, stringify(config));
  return path;
}
