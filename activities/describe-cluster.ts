import type { ClusterFacts, FenceStep } from '../workflows/model/cluster.ts';
import type { Evidence, Fact } from '../workflows/model/approval.ts';
import { failure } from '../workflows/model/failure.ts';
import type { Sample } from '../workflows/model/failover-loss.ts';
import { sampleOf } from '../workflows/model/failover-loss.ts';
import type { Lsn } from '../workflows/model/lsn.ts';
import { formatLsn, parseLsn } from '../workflows/model/lsn.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import type { ClusterConfig, ServiceConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
import { useSource } from './use-source.ts';
import { evidenceOf } from './weigh.ts';

/** What a run needs to know of the servers of a service; reads the configuration only. NotFound. */
export function describeCluster(deps: Deps, { service }: { service: string }): Promise<ClusterFacts> {
  const config = serviceConfig(deps, service);
  const cluster = clusterConfig(deps, service);
  const { limits, objectives, approvals } = cluster;
  const { rto, rpo } = objectives;
  return Promise.resolve({
    ...{ service, source: config.source, automatic: cluster.automatic },
    nodes: Object.entries(cluster.nodes).map(([name, { site, host, address, port, dataDir }]) => ({
      ...{ name, site, host, address, port, dataDir },
    })),
    limits: {
      ...{ lagBytes: limits.lag, outageMs: limits.outage, drainMs: limits.drain },
      ...{ transactionMs: limits.transaction, lookMs: limits.look },
    },
    fence: cluster.fence.map(fenceOf),
    objectives: { ...(rto === undefined ? {} : { rtoMs: rto }), ...(rpo === undefined ? {} : { rpoMs: rpo }) },
    approvals: {
      planned: approvals.planned ?? config.approval,
      unplanned: approvals.unplanned ?? config.approval,
      breakGlass: approvals.breakGlass,
    },
  });
}

/** Without programs and their secrets. */
function fenceOf(step: ClusterConfig['fence'][number]): FenceStep {
  switch (step.by) {
    case 'agent-stop':
      return { by: step.by };
    case 'command':
      return { by: step.by, name: step.name, ...(step.host === undefined ? {} : { host: step.host }) };
    case 'traffic':
      return { by: step.by, confirms: step.confirms };
    case 'lease':
      return { by: step.by, afterMs: step.after };
  }
}

export function clusterConfig(deps: Deps, service: string): ClusterConfig {
  const { cluster } = serviceConfig(deps, service);
  if (cluster) return cluster;
  throw failure('NotFound', `service ${service} has no cluster to fail over`, {
    place: `services.${service} in ${deps.config.path}`,
    expected: 'cluster: with two nodes or more',
    found: 'none',
    hint: 'declare its servers under cluster: README "Failover" has an example',
  });
}

function serviceConfig(deps: Deps, service: string): ServiceConfig {
  const found = deps.config.services[service];
  if (found) return found;
  const known = Object.keys(deps.config.services);
  const near = nearestName(service, known);
  throw failure('NotFound', `service ${service} is not configured on host ${deps.host}`, {
    place: `services in ${deps.config.path}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : 'a service',
    found: service,
    hint: near === undefined ? 'lifeboat config explain' : `did you mean ${near}?`,
  });
}

/** So much before the position that is asked about says at what pace a primary writes. */
const PACE_BYTES = 64n * 1024n * 1024n;

export interface SampleTask {
  source: string;
  systemId: string;
  timeline: number;
  /** About where it was. */
  lsn: Lsn;
}

/** Where a primary was, by the WAL that was brought into the vault, which stands away from it. */
export function readSample(deps: Deps, { source, systemId, timeline, lsn }: SampleTask): Promise<{ sample?: Sample }> {
  return useSource(deps, source, async ({ vault }) => {
    const from = parseLsn(lsn) - PACE_BYTES;
    const fromLsn = formatLsn(from > 0n ? from : 0n);
    const sample = sampleOf(await vault.wal.list({ systemId, timeline, fromLsn }), timeline);
    return sample ? { sample } : {};
  });
}

/** Facts with the hash that an approval is bound to. */
export function weighFacts(_deps: Deps, { facts }: { source: string; facts: Fact[] }): Promise<Evidence> {
  return Promise.resolve(evidenceOf(facts));
}
