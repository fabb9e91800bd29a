import type { ClusterFacts, NodeFacts, NodeState } from './cluster.ts';
import { describeNode, nodeAddress } from './cluster.ts';
import { compareLsn, lsnDistanceBytes } from './lsn.ts';
import type { Check } from './recovery.ts';
import type { SwitchFacts } from './service.ts';
import type { Traffic } from './traffic.ts';
import { sameTraffic } from './traffic.ts';
import { formatBytes, formatDuration } from './units.ts';

/** All nodes of a cluster, each as its own worker saw it. */
export interface ClusterLook {
  cluster: ClusterFacts;
  states: readonly NodeState[];
  /** Name of the node that is to become the primary. */
  to: string;
}

/** A standby refuses to start where one of these is smaller than at its primary (manual 26.4.1). */
const PARITY = [
  ...(['max_connections', 'max_worker_processes', 'max_wal_senders'] as const),
  ...(['max_prepared_transactions', 'max_locks_per_transaction'] as const),
];

export function stateOf(states: readonly NodeState[], node: string): NodeState {
  const unseen: NodeState = { node, seenAt: '', by: '', answers: false, epoch: 0 };
  return states.find((state) => state.node === node) ?? unseen;
}

/** The one node that writes; undefined when none does, or several do. */
export function primaryOf(states: readonly NodeState[]): NodeState | undefined {
  const writers = states.filter(({ role }) => role === 'primary');
  return writers.length === 1 ? writers[0] : undefined;
}

/** All that has to be true before a planned switchover touches anything. */
export function switchoverChecks(look: ClusterLook): Check[] {
  const { states, to } = look;
  const candidate = stateOf(states, to);
  const primary = primaryOf(states);
  const roles = [writerCheck(states), standbyCheck(candidate)];
  if (!primary || candidate.role !== 'standby') return roles;
  return [
    ...roles,
    ...identityChecks(primary, candidate),
    ...streamChecks(look, primary, candidate),
    ...settingChecks(primary, candidate),
    ...loginChecks(primary, candidate),
    busyCheck(primary),
    ...agentChecks([primary, candidate]),
  ];
}

/** All that has to be true of a standby that is promoted while its primary is gone. */
export function candidateChecks({ states, to }: ClusterLook): Check[] {
  const candidate = stateOf(states, to);
  const standby = standbyCheck(candidate);
  if (candidate.role !== 'standby') return [standby];
  const others = states.filter(({ node, role }) => node !== to && role === 'standby');
  const ahead = others.filter((other) => isAhead(other, candidate));
  const behind = others.filter(({ systemId }) => systemId !== candidate.systemId);
  return [
    standby,
    {
      name: 'no other standby is ahead',
      ok: ahead.length === 0,
      expected: `none beyond ${candidate.lsn} on timeline ${candidate.timeline}`,
      found: ahead.map(describeNode).join('; ') || 'none',
    },
    {
      name: 'one cluster',
      ok: behind.length === 0,
      expected: `system identifier ${candidate.systemId}`,
      found: behind.map(({ node, systemId }) => `${node}: ${systemId}`).join('; ') || 'the same everywhere',
    },
    writableCheck(candidate),
    ...agentChecks([candidate]),
  ];
}

function isAhead(one: NodeState, other: NodeState): boolean {
  const [a, b] = [one.timeline ?? 0, other.timeline ?? 0];
  return a > b || (a === b && compareLsn(one.lsn ?? '0/0', other.lsn ?? '0/0') > 0);
}

function writerCheck(states: readonly NodeState[]): Check {
  const writers = states.filter(({ role }) => role === 'primary');
  return {
    name: 'exactly one primary',
    ok: writers.length === 1,
    expected: 'one node that writes, and it answers',
    found: writers.length === 1 ? describeNode(writers[0] as NodeState) : states.map(describeNode).join('; '),
  };
}

function standbyCheck(candidate: NodeState): Check {
  const { answers, role } = candidate;
  const expected = 'a standby that answers';
  return { name: 'candidate', ok: answers && role === 'standby', expected, found: describeNode(candidate) };
}

function identityChecks(primary: NodeState, candidate: NodeState): Check[] {
  const major = ({ version = 0 }: NodeState): number => Math.floor(version / 10_000);
  return [
    {
      name: 'one cluster',
      ok: primary.systemId === candidate.systemId,
      expected: `system identifier ${primary.systemId}`,
      found: candidate.systemId ?? 'none',
    },
    {
      name: 'one major version',
      ok: major(primary) === major(candidate),
      expected: `PostgreSQL ${major(primary)}`,
      found: `PostgreSQL ${major(candidate)}`,
    },
    {
      name: 'one timeline',
      ok: primary.timeline === candidate.timeline,
      expected: `timeline ${primary.timeline}`,
      found: `timeline ${candidate.timeline}`,
    },
  ];
}

function streamChecks({ cluster }: ClusterLook, primary: NodeState, candidate: NodeState): Check[] {
  const { receiver, lsn = '0/0', held } = candidate;
  const lag = Math.max(0, lsnDistanceBytes(lsn, primary.lsn ?? '0/0'));
  const senders = (primary.senders ?? []).filter(({ state }) => state === 'streaming');
  return [
    {
      name: 'candidate streams',
      ok: receiver?.status === 'streaming' && receiver.timeline === primary.timeline,
      expected: `streaming on timeline ${primary.timeline}`,
      found: receiver ? `${receiver.status} on timeline ${receiver.timeline}` : 'no receiver',
    },
    {
      name: 'primary sends',
      ok: senders.length > 0,
      expected: 'a standby that streams',
      found: senders.map(({ name, address }) => `${name} at ${address}`).join(', ') || 'none',
    },
    {
      name: 'lag',
      ok: lag <= cluster.limits.lagBytes,
      expected: `at most ${formatBytes(cluster.limits.lagBytes)}`,
      found: formatBytes(lag),
    },
    ...clockChecks(primary, candidate),
    {
      name: 'candidate replays',
      ok: held !== true,
      expected: 'neither paused nor delayed',
      found: held ? 'paused, or recovery_min_apply_delay is set' : 'it does',
    },
  ];
}

/** Above this, leases, samples and targets in time say nothing; below it a slow network may be what it is. */
const CLOCK_MS = 30_000;

function clockChecks({ node }: NodeState, candidate: NodeState): Check[] {
  const { skewMs } = candidate.receiver ?? {};
  if (skewMs === undefined) return [];
  return [
    {
      name: 'clocks agree',
      ok: Math.abs(skewMs) <= CLOCK_MS,
      expected: `${candidate.node} and ${node} within ${formatDuration(CLOCK_MS)}`,
      found: `${candidate.node} is ${formatDuration(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead'}`,
    },
  ];
}

function settingChecks(primary: NodeState, candidate: NodeState): Check[] {
  const [here, there] = [primary.settings ?? {}, candidate.settings ?? {}];
  // It is the primary's standby, so its own are not smaller; the old primary has to become its standby.
  const smaller = PARITY.filter((name) => Number(here[name]) < Number(there[name]));
  return [
    {
      name: 'settings let the old primary follow',
      ok: smaller.length === 0,
      expected: `on ${primary.node} no less than on ${candidate.node}`,
      found: smaller.map((name) => `${name} ${here[name]} < ${there[name]}`).join(', ') || 'no less',
    },
    writableCheck(candidate),
  ];
}

function writableCheck({ node, settings = {} }: NodeState): Check {
  const found = settings['default_transaction_read_only'] ?? 'unknown';
  const expected = 'default_transaction_read_only = off';
  return { name: `${node} takes writes once it is promoted`, ok: found === 'off', expected, found };
}

function loginChecks(primary: NodeState, candidate: NodeState): Check[] {
  return [
    [candidate, primary],
    [primary, candidate],
  ].map(([from, to]) => {
    const reach = from?.reaches?.find(({ node }) => node === to?.node);
    return {
      name: `replication login from ${from?.node} at ${to?.node}`,
      ok: reach?.ok === true && reach.found === primary.systemId,
      expected: `system identifier ${primary.systemId}`,
      found: reach?.found ?? 'not tried',
    };
  });
}

function busyCheck({ node, busyWith = [] }: NodeState): Check {
  const found = busyWith.join('; ') || 'none';
  const expected = 'no old or prepared transaction, no base backup';
  return { name: `nothing that ${node} would break`, ok: busyWith.length === 0, expected, found };
}

function agentChecks(states: readonly NodeState[]): Check[] {
  return states.map(({ node, running, by }) => ({
    name: `worker of ${node}`,
    ok: running === true,
    expected: 'sees the server on its data directory',
    found: running === undefined ? 'has not looked' : running ? `${by} sees it` : `${by} sees none`,
  }));
}

/** pg_rewind can bring it back when it has gone its own way (manual, pg_rewind). */
export function rewindCheck({ node, settings = {} }: NodeState): Check {
  const on = (name: string): boolean => settings[name] === 'on';
  const names = ['data_checksums', 'wal_log_hints', 'full_page_writes'];
  return {
    name: `${node} can be rewound`,
    ok: (on('wal_log_hints') || on('data_checksums')) && on('full_page_writes'),
    expected: 'data checksums or wal_log_hints, and full_page_writes',
    found: names.map((name) => `${name} ${settings[name] ?? 'unknown'}`).join(', '),
  };
}

/** A switch that sends elsewhere is not about these servers, or somebody has moved it. */
export function trafficChecks(
  found: Iterable<readonly [name: string, now: Traffic]>,
  { from, switches }: { from: NodeFacts; switches: readonly SwitchFacts[] },
): Check[] {
  return [...found].flatMap(([name, now]) => {
    const { sites, overlaps } = switches.find((each) => each.name === name) ?? {};
    // Compute that is up somewhere sends nobody there.
    if (overlaps) return [];
    const side = sites ? from.site : nodeAddress(from);
    return [
      {
        name: `switch ${name}`,
        ok: sameTraffic(now, { [side]: 100 }) || Object.keys(now).length === 0,
        expected: `all traffic to ${side}, or none`,
        found: JSON.stringify(now),
      },
    ];
  });
}

/** What keeps nobody from switching over, and should be known. */
export function switchoverWarnings(states: readonly NodeState[]): string[] {
  return states.flatMap((state) => {
    const { node, settings = {}, role } = state;
    const rewindable = rewindCheck(state).ok;
    const names = settings['synchronous_standby_names'] ?? '';
    return [
      ...(role === undefined || rewindable
        ? []
        : [`${node} could not be rewound: it has neither data checksums nor wal_log_hints, or no full_page_writes`]),
      ...(role === 'standby' && names !== ''
        ? [`${node} will wait for ${names} (synchronous_standby_names) once it is promoted`]
        : []),
    ];
  });
}
