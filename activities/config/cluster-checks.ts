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
      ...twice(service.cluster.automatic, [...path, 'automatic']),
    ];
  });
}

type Nodes = NonNullable<ConfigFile['services'][string]['cluster']>['nodes'];

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
  ];
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

function twice(list: readonly string[], path: string[]): RawProblem[] {
  const at = list.findIndex((each, index) => list.indexOf(each) !== index);
  if (at < 0) return [];
  return [{ path: [...path, at], reason: 'is named twice', expected: 'each once', found: JSON.stringify(list[at]) }];
}
