import { executeChild, ParentClosePolicy, sleep } from '@temporalio/workflow';
import { Approvals } from './lib/approval.ts';
import type { BegunService } from './lib/begin-service.ts';
import { beginService } from './lib/begin-service.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { timed } from './lib/failing-over.ts';
import { lookAtAll, nodeOf } from './lib/nodes.ts';
import { previewRejoin } from './lib/preview-rejoin.ts';
import { rejoinNode } from './lib/rejoin-node.ts';
import type { RejoinSaid } from './lib/rejoining.ts';
import { refuseDuringFailover } from './lib/rejoining.ts';
import { report } from './lib/report.ts';
import { rejoinTold } from './lib/service-report.ts';
import { nowMs } from './lib/time.ts';
import type { NodeFacts, NodeState } from './model/cluster.ts';
import { candidateOf } from './model/cluster.ts';
import type { FailoverOrder, FailoverResult } from './model/failover.ts';
import { primaryOf, stateOf, switchoverChecks } from './model/failover-checks.ts';
import { planOf } from './model/failover-plan.ts';
import { failure } from './model/failure.ts';
import { lsnDistanceBytes } from './model/lsn.ts';
import { workflowId } from './model/names.ts';
import type { FailbackOrder, FailbackPreview, FailbackResult, Soak } from './model/rejoin.ts';
import type { ReportSection } from './model/report.ts';
import { formatBytes, formatDuration } from './model/units.ts';
import { shortSummary } from './options.ts';

const SOAK_MS = 10 * 60_000;
const LOOK_MS = 10_000;
/** Of a soak; more would only make the history of the run long. */
const MOST_LOOKS = 120;

type Begun = BegunService<FailbackOrder>;

/**
 * Goes back to where a service was: the node is made a standby again where it is none, is watched until it has kept up for long enough,
 * and the two change places by the planned failover, which asks who has to agree to that. Input: {"service":"web","by":"anna"}; with
 * "dryRun":true it says what it would do, and why, and touches nothing.
 */
export async function failback(given: FailbackOrder): Promise<FailbackResult | FailbackPreview> {
  const shape = { 'service!': 'text', to: 'text', 'by!': 'text', soakMs: 'count', dryRun: 'flag' } as const;
  const begun = await beginService<FailbackOrder>('failback', given, shape);
  const { order, journal, facts, notices, cluster } = begun;
  delete journal.progress.rto;
  const approvals = new Approvals(journal);
  const said: RejoinSaid = { why: [], steps: [] };
  const more: ReportSection[] = [];
  const told = (next: string[] = []): ReturnType<typeof rejoinTold> => {
    const known = rejoinTold(said, { order, cluster, node: order.to });
    return { ...known, sections: [...more, ...(known.sections ?? [])], next };
  };
  try {
    return await conclude(
      journal,
      async (undo) => {
        await refuseDuringFailover(order.service);
        const node = await nodeFor(begun);
        if (order.dryRun) return preview(begun, node);
        const rejoin = await rejoinNode({ ...begun, node, approvals, undo, said });
        const primary = nodeOf(cluster, rejoin.primary);
        const soak = await timed({ journal, said }, `watch ${node.name} keep up`, () =>
          soaked(begun, { node, primary }),
        );
        more.push(soakSection(node, soak));
        const failover = await timed({ journal, said }, `switch over to ${node.name}`, () => switchOver(begun, node));
        more.push(failoverSection(failover));
        const stored = await report({ kind: 'failback', journal, facts, done: true, ...told(failover.next) });
        const result = { service: order.service, node: node.name, rejoin, soak, failover };
        return stored ? { ...result, report: stored } : result;
      },
      {
        tell: (error) => {
          if (!said.begun) return;
          notices.send({ severity: 'error', title: `failback of ${order.service} failed`, body: messageOf(error) });
        },
        finishesCancelled: true,
        finish: async (error) => {
          if (said.begun) await report({ kind: 'failback', journal, facts, error, ...told() });
        },
      },
    );
  } finally {
    await notices.settle();
  }
}

/** The one that is named, or the only one that is not the primary. */
async function nodeFor({ cluster, order }: Begun): Promise<NodeFacts> {
  if (order.to !== undefined) return candidateOf(cluster, order.to);
  const primary = primaryOf(await lookAtAll(cluster));
  const others = cluster.nodes.filter(({ name }) => name !== primary?.node);
  const [only, ...more] = others;
  if (primary && only && more.length === 0) return only;
  throw failure('Precondition', `it is not clear to which node ${cluster.service} goes back`, {
    place: `services.${cluster.service}.cluster.nodes`,
    expected: 'one primary, and one node beside it',
    found: primary ? others.map(({ name }) => name).join(', ') : 'no primary that answers, or several',
    hint: `lifeboat failback ${cluster.service} --to SITE`,
  });
}

async function preview(begun: Begun, node: NodeFacts): Promise<FailbackPreview> {
  const { cluster, service, journal, order } = begun;
  const rejoin = await previewRejoin({ cluster, node, journal });
  const from = cluster.nodes.find(({ name }) => name === rejoin.primary) ?? node;
  const plan = planOf({ cluster, mode: 'planned', from, to: node, traffic: service.traffic, checks: service.checks });
  const states = rejoin.path === 'none' ? await lookAtAll(cluster) : undefined;
  const checks = states && switchoverChecks({ cluster, states, to: node.name });
  return {
    ...{ preview: true as const, service: cluster.service, node: node.name, rejoin, plan },
    ok: rejoin.ok && (checks ?? []).every(({ ok }) => ok),
    soak: { ms: order.soakMs ?? SOAK_MS, lagBytes: cluster.limits.lagBytes },
    ...(checks ? { checks } : {}),
  };
}

interface Both {
  node: NodeFacts;
  primary: NodeFacts;
}

/** Within the limit for so long without a break. It never gives up: who waits is told, and may cancel it. */
async function soaked({ cluster, order, journal }: Begun, { node, primary }: Both): Promise<Soak> {
  const ms = order.soakMs ?? SOAK_MS;
  const everyMs = Math.max(LOOK_MS, Math.ceil(ms / MOST_LOOKS));
  let [sinceMs, mostLagBytes, breaks] = [nowMs(), 0, 0];
  for (;;) {
    const states = await lookAtAll(cluster);
    const lag = lagOf(stateOf(states, node.name), stateOf(states, primary.name));
    const isWell = lag !== undefined && lag <= cluster.limits.lagBytes;
    if (isWell) {
      mostLagBytes = Math.max(mostLagBytes, lag);
      journal.attention(undefined);
      if (nowMs() - sinceMs >= ms) return { ms: nowMs() - sinceMs, mostLagBytes, breaks };
    } else {
      journal.attention(
        `${node.name} ${lag === undefined ? 'does not stream' : `is ${formatBytes(lag)} behind`}: the soak begins anew`,
      );
      breaks += 1;
    }
    const left = ms - (nowMs() - sinceMs);
    await sleep(isWell ? Math.max(1, Math.min(everyMs, left)) : everyMs, {
      summary: `until ${node.name} is looked at again`,
    });
    if (!isWell) [sinceMs, mostLagBytes] = [nowMs(), 0];
  }
}

/** Undefined: it does not stream from a primary that is looked at. */
function lagOf(standby: NodeState, primary: NodeState): number | undefined {
  const { receiver, lsn } = standby;
  const streams = receiver?.status === 'streaming' && receiver.timeline === primary.timeline;
  if (!streams || primary.role !== 'primary' || lsn === undefined || primary.lsn === undefined) return undefined;
  return Math.max(0, lsnDistanceBytes(lsn, primary.lsn));
}

function switchOver({ order }: Begun, { name: to }: NodeFacts): Promise<FailoverResult> {
  const { service, by } = order;
  const input: FailoverOrder = { service, to, mode: 'planned', by };
  return executeChild('failover', {
    workflowId: workflowId.failover(service),
    // Terminated with us it would leave a service that nobody serves: it takes back, or goes on, by its own rules.
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    args: [input],
    staticSummary: shortSummary(`planned failover of ${service} back to ${to}`),
  });
}

function soakSection({ name }: NodeFacts, { ms, mostLagBytes, breaks }: Soak): ReportSection {
  return {
    title: `${name} kept up`,
    head: ['', ''],
    rows: [['for', formatDuration(ms)], ['at most behind', formatBytes(mostLagBytes)], ['begun anew', String(breaks)]], // prettier-ignore
  };
}

function failoverSection({ from, to, zeroLoss, outageMs, report: stored }: FailoverResult): ReportSection {
  return {
    title: 'Switched over',
    head: ['', ''],
    rows: [
      ['from, to', `${from}, ${to}`],
      ['lost', zeroLoss?.ok ? `nothing: ended and forked at ${zeroLoss.forkLsn}` : 'not proven'],
      ['nobody served for', formatDuration(outageMs)],
      ['its report', stored ? `${stored.key}, head ${stored.head ?? 'unknown'}` : 'none'],
    ],
  };
}
