import { clusterSchema } from '../../activities/config/cluster-schema.ts';
import type { ClusterConfig } from '../../activities/config/index.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { TestPostgres } from './postgres.ts';

type Server = Pick<TestPostgres, 'dataDir' | 'port' | 'binaries'>;

/** Servers of one cluster, "db-a" and "db-b", in the hands of this process as in those of the worker of their host. */
export function nodeUses(servers: readonly [Server, Server?]): [a: NodeUse, b: NodeUse] {
  const node = (server: Server, site: string): object => ({
    ...{ site, host: 'here', dataDir: server.dataDir, port: server.port, address: '127.0.0.1' },
    start: { by: 'pg_ctl', binaries: server.binaries },
  });
  const [a, b = a] = servers;
  const cluster = clusterSchema.parse({
    nodes: { 'db-a': node(a, 'east'), 'db-b': node(b, 'west') },
    ...{ connection: { user: 'postgres', database: 'postgres' }, replication: { user: 'postgres' } },
  }) as unknown as ClusterConfig;
  const useOf = (name: string): NodeUse => {
    const own = cluster.nodes[name];
    if (!own) throw new Error(`no node ${name}`);
    return { service: 'web', name, node: own, cluster, host: 'here', run: plainRun() };
  };
  return [useOf('db-a'), useOf('db-b')];
}
