import type { ClusterFacts, FenceStep, NodeFacts, NodeState } from './cluster.ts';
import { describeFence } from './failover-plan.ts';
import { primaryOf, rewindCheck, stateOf, switchoverChecks, trafficChecks } from './failover-checks.ts';
import type { Check } from './recovery.ts';
import type { ServiceFacts } from './service.ts';
import type { Traffic } from './traffic.ts';
import { formatBytes, formatDuration } from './units.ts';

/** A check that says how to mend what it found. */
export interface ReadyCheck extends Check {
  hint: string;
}

/** Whether a service could be failed over now. */
export interface Readiness {
  service: string;
  ok: boolean;
  /** When it was looked at, ISO 8601 UTC. */
  at: string;
  /** Of the configuration that it was looked at by; under another one it says nothing. */
  planHash: string;
  /** Node that is the primary; absent when none is, or several are. */
  from?: string;
  to: string;
  checks: ReadyCheck[];
}

/** What the vault says about it. */
export interface StoredFacts {
  /** Of the newest sample of where the primary is; absent: there is none. */
  sampleAgeMs?: number;
  /** Of the newest drill that was proven. */
  drillAgeMs?: number;
  /** Of the newest failover drill that has passed. */
  failoverDrillAgeMs?: number;
}

export interface ReadyQuestion {
  cluster: ClusterFacts;
  service: ServiceFacts;
  states: readonly NodeState[];
  to: string;
  stored: StoredFacts;
  /** Where each switch sends traffic; one that could not be asked is absent. */
  traffic: readonly (readonly [name: string, now: Traffic])[];
  /** Of switches that cannot be asked, or cannot be moved as they are, why. */
  refused: ReadonlyMap<string, string>;
}

/** All that has to be true of a service that could be failed over at any time; what it can be told by, on any day. */
export function readyChecks(question: ReadyQuestion): ReadyCheck[] {
  const { cluster, states, to } = question;
  const primary = primaryOf(states);
  const candidate = stateOf(states, to);
  const from = cluster.nodes.find(({ name }) => name === primary?.node);
  const checks: Check[] = [
    ...switchoverChecks({ cluster, states, to }),
    ...(primary ? delayChecks(question, primary, candidate) : []),
    ...(primary ? slotChecks(primary, candidate) : []),
    ...states.filter(({ role }) => role !== undefined).map(rewindCheck),
    ...capacityChecks(question),
    ...(from ? switchChecks(question, from) : []),
    ...storedChecks(question),
    ...planChecks(question),
  ];
  return checks.map((check) => ({ ...check, hint: check.ok ? '' : hintOf(check.name, question) }));
}

/** A heartbeat older than this is written by nobody now. */
const BEAT_MS = 30_000;

function delayChecks({ cluster }: ReadyQuestion, primary: NodeState, candidate: NodeState): Check[] {
  const { lagMs } = cluster.watch.ready;
  const [here, there] = [primary.heartbeat, candidate.heartbeat];
  const isFresh = here !== undefined && here.ageMs <= BEAT_MS;
  const lag = here && there ? Math.max(0, Date.parse(here.at) - Date.parse(there.at)) : undefined;
  return [
    {
      name: 'heartbeat',
      ok: isFresh,
      expected: `one that is written on ${primary.node}, at most ${formatDuration(BEAT_MS)} old`,
      found: here ? `${formatDuration(here.ageMs)} old` : 'none',
    },
    {
      name: 'lag in time',
      ok: isFresh && lag !== undefined && lag <= lagMs,
      expected: `at most ${formatDuration(lagMs)}`,
      found: lag === undefined ? 'no heartbeat to tell it by' : formatDuration(lag),
    },
  ];
}

function slotChecks(primary: NodeState, candidate: NodeState): Check[] {
  const name = candidate.receiver?.slot;
  const slot = primary.slots?.find((each) => each.name === name);
  const kept = slot?.active === true && (slot.status === 'reserved' || slot.status === 'extended');
  const idle = [primary, candidate].flatMap(({ node, slots = [] }) =>
    slots.filter(({ physical, active }) => physical && !active).map((each) => `${each.name} on ${node}`),
  );
  return [
    {
      name: 'slot of the candidate',
      ok: kept,
      expected: `one on ${primary.node} that is active and keeps WAL`,
      found: slot ? `${slot.name}: ${slot.active ? 'active' : 'not active'}, ${slot.status || 'keeps nothing'}` : (name ?? 'none'), // prettier-ignore
    },
    {
      name: 'no slot that nobody uses',
      ok: idle.length === 0,
      expected: 'none: it keeps WAL until the disk is full',
      found: idle.join(', ') || 'none',
    },
  ];
}

function capacityChecks({ cluster, states }: ReadyQuestion): Check[] {
  const { freeBytes: wanted } = cluster.watch.ready;
  return states.flatMap(({ node, freeBytes }) =>
    freeBytes === undefined
      ? []
      : [
          {
            name: `room on ${node}`,
            ok: freeBytes >= wanted,
            expected: `at least ${formatBytes(wanted)} free`,
            found: formatBytes(freeBytes),
          },
        ],
  );
}

/** A switch that cannot be asked cannot be moved; nor can one that lacks a right, or whose records live too long. */
function switchChecks({ service, traffic, refused }: ReadyQuestion, from: NodeFacts): Check[] {
  const asked = new Set(traffic.map(([name]) => name));
  const silent = service.traffic.filter(({ name }) => !asked.has(name));
  return [
    ...trafficChecks(traffic, { from, switches: service.traffic }),
    ...silent.map(({ name }) => ({
      ...{ name: `switch ${name}`, ok: false, expected: 'an answer, and nothing in the way of a move' },
      found: refused.get(name) ?? 'none',
    })),
  ];
}

/** A sample is taken each second; one that is older was taken by a run that does not go on. */
const SAMPLE_MS = 15_000;

function storedChecks({ cluster, stored }: ReadyQuestion): Check[] {
  const { sampleAgeMs, drillAgeMs, failoverDrillAgeMs } = stored;
  const { drillMs, failoverDrillMs } = cluster.watch.ready;
  const age = (ms: number | undefined): string => (ms === undefined ? 'none' : `${formatDuration(ms)} old`);
  return [
    {
      name: 'samples',
      ok: sampleAgeMs !== undefined && sampleAgeMs <= SAMPLE_MS,
      expected: `where the primary is, in the vault, at most ${formatDuration(SAMPLE_MS)} old`,
      found: age(sampleAgeMs),
    },
    {
      name: 'last drill',
      ok: drillAgeMs !== undefined && drillAgeMs <= drillMs,
      expected: `one of ${cluster.source} that was proven, at most ${formatDuration(drillMs)} old`,
      found: age(drillAgeMs),
    },
    ...(failoverDrillMs === undefined
      ? []
      : [
          {
            name: 'last failover drill',
            ok: failoverDrillAgeMs !== undefined && failoverDrillAgeMs <= failoverDrillMs,
            expected: `one of ${cluster.service} that has passed, at most ${formatDuration(failoverDrillMs)} old`,
            found: age(failoverDrillAgeMs),
          },
        ]),
  ];
}

/** What a plan must not rest on: anything that goes away with the server, or the site, that it is to replace. */
function planChecks({ cluster, service }: ReadyQuestion): Check[] {
  const unfenced = cluster.nodes.filter((node) => !cluster.fence.some((step) => worksWithout(step, node, cluster)));
  const tied = cluster.nodes.flatMap(({ name, site }) =>
    service.traffic.filter(({ host }) => isAt(cluster, host, site)).map((each) => `${each.name} with ${name}`),
  );
  const { rtoMs, rpoMs } = cluster.objectives;
  const objectives = [...(rtoMs === undefined ? ['rto'] : []), ...(rpoMs === undefined ? ['rpo'] : [])];
  return [
    {
      name: 'a fence that works without the site',
      ok: unfenced.length === 0,
      expected: 'for each node a step that can be confirmed when its site is gone',
      found: unfenced.length === 0 ? cluster.fence.map(describeFence).join(', ') : `none for ${unfenced.map(({ name }) => name).join(', ')}`, // prettier-ignore
    },
    {
      name: 'switches that move without the site',
      ok: tied.length === 0,
      expected: 'none whose worker is at the site of a node',
      found: tied.join(', ') || 'none',
    },
    {
      name: 'objectives',
      ok: objectives.length === 0,
      expected: 'rto and rpo: without an rpo no unplanned failover is within it',
      found: objectives.length === 0 ? 'both' : `no ${objectives.join(', no ')}`,
    },
  ];
}

function worksWithout(step: FenceStep, { site }: NodeFacts, cluster: ClusterFacts): boolean {
  switch (step.by) {
    case 'agent-stop':
      return false;
    case 'instance-stop':
    case 'command':
      return !isAt(cluster, step.host, site);
    case 'traffic':
      return step.confirms;
    case 'lease':
      return true;
  }
}

/** A step without a host is done by whichever worker is there. */
function isAt({ nodes }: ClusterFacts, host: string | undefined, site: string): boolean {
  return host !== undefined && nodes.some((node) => node.host === host && node.site === site);
}

/** By the name of a check: the first that fits. */
const HINTS: readonly (readonly [name: RegExp, hint: (question: ReadyQuestion) => string])[] = [
  [/^exactly one primary|^candidate$|^worker of/, ({ service }) => `lifeboat failover ${service.service} --to SITE --planned --dry-run; start what is down, with its worker`],
  [/^one (cluster|major version|timeline)/, () => 'make the standby anew: pg_basebackup, or lifeboat restore --standby'],
  [/^candidate streams|^primary sends|^candidate replays/, () => 'see pg_stat_wal_receiver of the standby and its log; select pg_wal_replay_resume()'],
  [/^clocks/, () => 'let both hosts keep time: chronyc tracking, timedatectl'],
  [/^lag/, () => 'wait, or see what holds the standby: its network, its disk, a long query on it'],
  [/^heartbeat|^samples/, ({ service }) => `lifeboat watch ${service.service}`],
  [/^settings let|takes writes/, () => 'alter system set ... on the node that is named, and restart it'],
  [/^replication login/, () => 'a line "host replication ..." in pg_hba.conf of the other node, and the password of cluster.replication'],
  [/^nothing that/, () => 'let it end, or end it: pg_prepared_xacts, pg_stat_progress_basebackup, pg_stat_activity'],
  [/^slot of/, () => 'select pg_create_physical_replication_slot(...) on the primary, primary_slot_name on the standby'],
  [/^no slot/, () => 'select pg_drop_replication_slot(...), or start who uses it'],
  [/can be rewound/, () => 'pg_checksums --enable while it is down, or wal_log_hints = on; full_page_writes = on'],
  [/^room on/, () => 'make room, or lower watch.ready.free'],
  [/^switch /, () => 'mend what is found there; else send all traffic to the primary, or correct the address of the node; is the worker of the switch there?'],
  [/^last drill/, ({ cluster }) => `lifeboat drill ${cluster.source}`],
  [/^last failover drill/, ({ service }) => `lifeboat failover ${service.service} --drill`],
  [/^a fence/, () => 'fence: a command on another host, a lease, or traffic with confirms: true'],
  [/^switches that/, () => 'give the switch no host, or one at no site of a node'],
  [/^objectives/, () => 'set objectives: { rto: 5m, rpo: 10s } of the cluster'],
]; // prettier-ignore

function hintOf(name: string, question: ReadyQuestion): string {
  const found = HINTS.find(([pattern]) => pattern.test(name));
  return found ? found[1](question) : 'mend that, then look again';
}

/** What is not as it should be, a line each. */
export function unready({ checks }: Pick<Readiness, 'checks'>): string[] {
  const bad = checks.filter(({ ok }) => !ok);
  return bad.map(({ name, expected, found, hint }) => `${name}: ${found}, expected ${expected} (${hint})`);
}
