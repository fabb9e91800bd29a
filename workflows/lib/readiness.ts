import { CancellationScope } from '@temporalio/workflow';
import type { ClusterFacts, NodeState } from '../model/cluster.ts';
import { candidateOf } from '../model/cluster.ts';
import { primaryOf } from '../model/failover-checks.ts';
import { hostQueue } from '../model/names.ts';
import type { Readiness, StoredFacts } from '../model/readiness.ts';
import { readyChecks } from '../model/readiness.ts';
import type { ServiceFacts, SwitchFacts } from '../model/service.ts';
import type { Traffic } from '../model/traffic.ts';
import { looking } from '../options.ts';
import { messageOf } from './conclude.ts';
import { lookAtAll } from './nodes.ts';
import { isoNow } from './time.ts';

export interface Examined {
  cluster: ClusterFacts;
  service: ServiceFacts;
}

/** Everything that a failover would need is looked at; nothing is changed. `to`: site or node; absent: the standby of the plan. */
export async function examine(use: Examined, to: string | undefined): Promise<Readiness> {
  const { cluster, service } = use;
  const wanted = to === undefined ? undefined : candidateOf(cluster, to).name;
  const head = { service: cluster.service, at: isoNow(), planHash: cluster.planHash };
  const states = await statesOf(cluster);
  if (typeof states === 'string') {
    const check = {
      name: 'every node can be looked at',
      ok: false,
      expected: 'an answer of each worker',
      found: states,
    };
    return { ...head, ok: false, to: wanted ?? '', checks: [{ ...check, hint: 'lifeboat doctor' }] };
  }
  const target = wanted ?? plannedCandidate(cluster, states);
  const [stored, traffic] = await Promise.all([storedOf(cluster, states), trafficOf(use)]);
  const checks = readyChecks({ cluster, service, states, to: target, stored, ...traffic });
  const from = primaryOf(states)?.node;
  const ok = checks.every((check) => check.ok);
  return { ...head, ok, to: target, checks, ...(from === undefined ? {} : { from }) };
}

/** A worker that lacks a right says so, and is heard. */
async function statesOf(cluster: ClusterFacts): Promise<NodeState[] | string> {
  try {
    return await lookAtAll(cluster);
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return messageOf(error);
  }
}

/** Of the plan, or the first that is a standby. */
export function plannedCandidate(cluster: ClusterFacts, states: readonly NodeState[]): string {
  const { to } = cluster.watch;
  if (to !== undefined) return candidateOf(cluster, to).name;
  const standby = states.find(({ role }) => role === 'standby') ?? states.find(({ role }) => role !== 'primary');
  return standby?.node ?? '';
}

async function storedOf(cluster: ClusterFacts, states: readonly NodeState[]): Promise<StoredFacts> {
  const { source, service, limits } = cluster;
  const systemId = states.find((state) => state.systemId !== undefined)?.systemId;
  const acts = looking({ summary: 'samples and drills in the vault' }, limits.lookMs);
  const asked = acts.readStanding({ source, service, ...(systemId === undefined ? {} : { systemId }) });
  return (await answered(asked)) ?? {};
}

interface SeenTraffic {
  traffic: [name: string, now: Traffic][];
  refused: Map<string, string>;
}

/** Where each switch sends traffic, with all that a move would need: rights, times to live, resolvers that answer. */
export async function trafficOf({ cluster, service }: Examined): Promise<SeenTraffic> {
  const { source } = service;
  const seen: SeenTraffic = { traffic: [], refused: new Map() };
  const locate = async ({ name, host }: SwitchFacts): Promise<void> => {
    const on = host === undefined ? {} : { taskQueue: hostQueue(host) };
    const acts = looking({ summary: `where switch ${name} sends traffic`, ...on }, cluster.limits.lookMs);
    try {
      seen.traffic.push([name, (await acts.locateTraffic({ source, name, check: true })).traffic]);
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      seen.refused.set(name, messageOf(error));
    }
  };
  await Promise.all(service.traffic.map(locate));
  return seen;
}

/** What gives no answer is not known, which a check says. */
async function answered<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return undefined;
  }
}
