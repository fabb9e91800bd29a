import type { RawProblem } from './problem.ts';
import { isDumped } from './registries.ts';
import type { ConfigFile } from './schema.ts';

/** What no single value of a cluster can know. */
export function clusterProblems(file: ConfigFile): RawProblem[] {
  return Object.entries(file.services).flatMap(([name, service]) => {
    if (!service.cluster) return [];
    const path = ['services', name, 'cluster'];
    return [
      ...sourceProblem(file, service.source, path),
      ...nodeProblems(service.cluster.nodes, [...path, 'nodes']),
      ...instanceProblems(service.cluster, path),
      ...twice(service.cluster.automatic, [...path, 'automatic']),
      ...watchProblems(service.cluster, [...path, 'watch']),
    ];
  });
}

type Cluster = NonNullable<ConfigFile['services'][string]['cluster']>;
type Nodes = Cluster['nodes'];

/** A failover is about the servers themselves; a source that is dumped knows none. */
function sourceProblem(file: ConfigFile, source: string, path: string[]): RawProblem[] {
  const kind = file.sources[source]?.kind;
  if (kind === undefined || !isDumped(kind)) return [];
  const reason = `stands on source ${source} of kind ${kind}`;
  return [{ path, reason, expected: 'a source of kind postgres', found: JSON.stringify(kind) }];
}

function nodeProblems(nodes: Nodes, path: string[]): RawProblem[] {
  const all = Object.entries(nodes);
  const few: RawProblem[] =
    all.length > 1
      ? []
      : [{ path, reason: 'has no node to fail over to', expected: 'two nodes or more', found: String(all.length) }];
  return [
    ...few,
    ...shared(all, path, { key: 'site', what: 'the site', of: ({ site }) => site }),
    ...shared(all, path, { key: 'port', what: 'the address', of: ({ address, port }) => `${address}:${port}` }),
    ...shared(all, path, {
      key: 'dataDir',
      what: 'the data directory',
      of: ({ host, dataDir }) => `${dataDir} on ${host}`,
    }),
    ...siteAsNode(all, path),
    ...shared(
      all.filter(([, { drillDir }]) => drillDir !== undefined),
      path,
      { key: 'drillDir', what: 'the folder for the clone', of: ({ host, drillDir }) => `${drillDir} on ${host}` },
    ),
  ];
}

/** A fence that knows not what to stop would be found out when it is needed. */
function instanceProblems({ nodes, fence }: Cluster, path: string[]): RawProblem[] {
  const at = fence.findIndex(({ by }) => by === 'instance-stop');
  if (at < 0) return [];
  const again = fence.findLastIndex(({ by }) => by === 'instance-stop');
  const problems = Object.entries(nodes)
    .filter(([, { instance }]) => !instance)
    .map(([name]): RawProblem => {
      const reason = `has no instance, and fence ${at + 1} stops it`;
      return { path: [...path, 'nodes', name, 'instance'], reason, expected: 'its region and id', found: 'none' };
    });
  if (again === at) return problems;
  const twice = { path: [...path, 'fence', again], reason: 'stops the same instance as a step before it' };
  return [...problems, { ...twice, expected: 'one instance-stop', found: '"instance-stop"' }];
}

function shared(
  all: [string, Nodes[string]][],
  path: string[],
  use: { key: string; what: string; of: (node: Nodes[string]) => string },
): RawProblem[] {
  const owners = new Map<string, string>();
  return all.flatMap(([name, node]) => {
    const value = use.of(node);
    const owner = owners.get(value);
    owners.set(value, owner ?? name);
    if (owner === undefined) return [];
    const reason = `has ${use.what} of node ${owner}`;
    return [{ path: [...path, name, use.key], reason, expected: 'one of its own', found: JSON.stringify(value) }];
  });
}

/** --to takes either: it must not mean two nodes. */
function siteAsNode(all: [string, Nodes[string]][], path: string[]): RawProblem[] {
  return all.flatMap(([name, { site }]) => {
    const other = all.find(([node]) => node === site && node !== name);
    if (!other) return [];
    const reason = `is the name of another node`;
    return [{ path: [...path, name, 'site'], reason, expected: 'a name of its own', found: JSON.stringify(site) }];
  });
}

/** So many have to look that a majority of them is left when a host is gone, whichever it is. */
const FEWEST_OBSERVERS = 3;

function watchProblems({ nodes, watch }: Cluster, path: string[]): RawProblem[] {
  const hosts = Object.values(nodes).map(({ host }) => host);
  const names = Object.entries(nodes).flatMap(([name, { site }]) => [name, site]);
  const own = watch.witnesses.findIndex((host) => hosts.includes(host));
  const observers = new Set([...hosts, ...watch.witnesses]);
  const problems = twice(watch.witnesses, [...path, 'witnesses']);
  if (own >= 0) {
    const found = JSON.stringify(watch.witnesses[own]);
    problems.push({
      path: [...path, 'witnesses', own],
      reason: 'is the host of a node',
      expected: 'another host',
      found,
    });
  }
  if (watch.to !== undefined && !names.includes(watch.to)) {
    const expected = `one of ${names.join(', ')}`;
    problems.push({
      path: [...path, 'to'],
      reason: 'is no site and no node',
      expected,
      found: JSON.stringify(watch.to),
    });
  }
  if (watch.automatic && observers.size < FEWEST_OBSERVERS) {
    const reason = 'has too few observers to tell a server that is gone from a network that is cut';
    const expected = `${FEWEST_OBSERVERS} hosts or more: watch.witnesses names those without a server`;
    problems.push({ path: [...path, 'automatic'], reason, expected, found: [...observers].join(', ') });
  }
  return problems;
}

function twice(list: readonly string[], path: string[]): RawProblem[] {
  const at = list.findIndex((each, index) => list.indexOf(each) !== index);
  if (at < 0) return [];
  return [{ path: [...path, at], reason: 'is named twice', expected: 'each once', found: JSON.stringify(list[at]) }];
}
