import { createHash } from 'node:crypto';
import type { ClusterFacts, FenceStep, WatchFacts } from '../workflows/model/cluster.ts';
import type { Evidence, Fact } from '../workflows/model/approval.ts';
import { failure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import type { ClusterConfig, ServiceConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
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
    watch: watchOf(cluster),
    planHash: planHashOf(deps, config),
  });
}

function watchOf({ nodes, watch }: ClusterConfig): WatchFacts {
  const { witnesses, after, flaps, pause, automatic, to, ready } = watch;
  return {
    observers: [...new Set([...Object.values(nodes).map(({ host }) => host), ...witnesses])],
    rules: { afterMs: after, flaps: { withinMs: flaps.within, most: flaps.most }, pauseMs: pause, automatic },
    ...(to === undefined ? {} : { to }),
    ready: {
      ...{ everyMs: ready.every, lagMs: ready.lag, freeBytes: ready.free },
      ...{ drillMs: ready.drill, failoverDrillMs: ready.failoverDrill },
    },
  };
}

/** Secrets are references there, so that none can be guessed from it. */
function planHashOf({ config }: Deps, service: ServiceConfig): string {
  const switches = service.traffic.map((name) => config.switches[name]);
  return createHash('sha256').update(JSON.stringify({ service, switches })).digest('hex').slice(0, 16);
}

/** Without programs and their secrets. */
function fenceOf(step: ClusterConfig['fence'][number]): FenceStep {
  switch (step.by) {
    case 'agent-stop':
      return { by: step.by };
    case 'instance-stop':
      return { by: step.by, ...(step.host === undefined ? {} : { host: step.host }) };
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

/** Facts with the hash that an approval is bound to. */
export function weighFacts(_deps: Deps, { facts }: { source: string; facts: Fact[] }): Promise<Evidence> {
  return Promise.resolve(evidenceOf(facts));
}
