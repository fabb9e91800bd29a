import { setTimeout as sleep } from 'node:timers/promises';
import { spanText } from '../../../../activities/report/index.ts';
import type { FailoverResult } from '../../../../workflows/model/failover.ts';
import { describeLoss, describeTail } from '../../../../workflows/model/failover-loss.ts';
import { workflowId } from '../../../../workflows/model/names.ts';
import type { FailbackResult, RejoinResult } from '../../../../workflows/model/rejoin.ts';
import { formatBytes } from '../../../../workflows/model/units.ts';
import type { Gap } from '../pair/load.ts';
import type { ClusterServer } from '../pair/server.ts';
import { signalled } from '../pair/server.ts';
import { SERVICE } from '../pair/world.ts';
import type { Played, Stage } from './stage.ts';
import { play, urged } from './stage.ts';

/** So many samples say at what pace a primary writes. */
const SAMPLES = 3;
/** The line between the sites gives nothing on for so long before the primary dies: what was acknowledged meanwhile is lost. */
const STALL_MS = 700;
const LOOK_MS = 50;
const SOAK = '1s';
/** read_only_sql_transaction */
const READ_ONLY = '25006';

/** What an act has shown, by what the clients have noted. */
export interface Shown {
  /** Acknowledged, and not there any more. */
  lostIds: ReadonlySet<number>;
  gap: Gap;
}

export interface PlannedAct extends Shown, Played<FailoverResult> {}

export interface UnplannedAct extends Shown, Played<FailoverResult> {
  /** Transactions, the most that were quoted. */
  quoted: number;
}

/** Both servers live, and change places under load. */
export async function switchOver(stage: Stage, to: ClusterServer): Promise<PlannedAct> {
  const fromMs = Date.now();
  const words = ['failover', SERVICE, '--to', to.site, '--planned'];
  const run = workflowId.failover(SERVICE);
  const played = await play<FailoverResult>(stage, { words, run, asks: run });
  const shown = await servedBy(stage, to, { fromMs, known: new Set() });
  const { zeroLoss, rejoined } = played.result;
  if (zeroLoss)
    stage.story.add(
      'lifeboat',
      `proof: the old primary ended at ${zeroLoss.shutdownEndLsn}, ${to.node} had ${zeroLoss.receivedLsn} and went on at ${zeroLoss.forkLsn}; ${rejoined?.node} ${rejoined?.ok ? 'follows it' : 'does not follow'}`,
      'good',
    );
  tellShown(stage, shown);
  return { ...played, ...shown };
}

/** The primary dies with all its processes; the watch says so, and with which command to go on. */
export async function failOver(stage: Stage, from: ClusterServer, to: ClusterServer): Promise<UnplannedAct> {
  const { story } = stage;
  await sampled(stage, from);
  const killedMs = await lose(stage, from);
  const command = /lifeboat (failover \S+ --to \S+ --unplanned --since [^ ;]+)/;
  const [, words = ''] = await urged(stage, workflowId.watch(SERVICE), command);
  story.add('watch', `${from.node} is gone: it says what to type`, 'wait');
  const run = workflowId.failover(SERVICE);
  const played = await play<FailoverResult>(stage, { words: words.split(' '), run, asks: run });
  const { loss, lost: tail, fence = [] } = played.result;
  const shown = await servedBy(stage, to, { fromMs: killedMs - STALL_MS, known: new Set() });
  for (const { step, outcome } of fence) story.add('lifeboat', `fence: ${step}: ${outcome}`, 'good');
  if (loss) story.add('lifeboat', `quoted before: ${describeLoss(loss)}`, 'wait');
  if (tail) story.add('lifeboat', `measured behind it: ${describeTail(tail)}`, 'wait');
  tellShown(stage, shown);
  return { ...played, ...shown, quoted: loss?.known ? (loss.transactions?.most ?? 0) : 0 };
}

/** The host comes up, and with it whatever starts its server: that must not serve, and is made a standby again. */
export async function rejoin(
  stage: Stage,
  old: ClusterServer,
  lostIds: ReadonlySet<number>,
): Promise<Played<RejoinResult> & { keptOut: boolean }> {
  const { story, signal } = stage;
  await old.start();
  story.add('world', `${old.node} is back: a supervisor starts it`, 'bad');
  const keptOut = await refusesOrders(old, signal);
  const had = await old.sql<{ n: number }>('select count(*)::int as n from orders where id = any($1)', [[...lostIds]]);
  const what = keptOut ? 'takes no orders' : 'TAKES ORDERS';
  story.add('clients', `${old.node} ${what}; on its disk are ${had[0]?.n ?? 0} orders that nobody else has`, keptOut ? 'good' : 'bad'); // prettier-ignore
  const run = workflowId.rejoin(SERVICE);
  const played = await play<RejoinResult>(stage, { words: ['rejoin', SERVICE, old.node], run, asks: run });
  const { path, salvage } = played.result;
  if (salvage)
    story.add('lifeboat', `salvaged: ${salvage.commits} commits, ${salvage.keys.length} objects of ${formatBytes(salvage.bytes)} in the vault`, 'good'); // prettier-ignore
  story.add('lifeboat', `${old.node} follows again (${path}), proven by a marker`, 'good');
  return { ...played, keptOut };
}

/** Back to where it was before the disaster. */
export async function failBack(
  stage: Stage,
  to: ClusterServer,
  known: ReadonlySet<number>,
): Promise<Shown & Played<FailbackResult>> {
  const fromMs = Date.now();
  const played = await play<FailbackResult>(stage, {
    words: ['failback', SERVICE, '--soak', SOAK],
    ...{ run: workflowId.failback(SERVICE), asks: workflowId.failover(SERVICE) },
  });
  const shown = await servedBy(stage, to, { fromMs, known });
  tellShown(stage, shown);
  return { ...played, ...shown };
}

async function servedBy(
  { load, signal }: Stage,
  server: ClusterServer,
  { fromMs, known }: { fromMs: number; known: ReadonlySet<number> },
): Promise<Shown> {
  await load.served(server, signal);
  const gap = load.longestGap(fromMs, Date.now());
  const missing = await load.missingIn(server, known);
  return { lostIds: new Set(missing.map(({ id }) => id)), gap };
}

function tellShown({ story, load }: Stage, { lostIds, gap }: Shown): void {
  const [ms, lost] = [gap.toMs - gap.fromMs, lostIds.size];
  story.add(
    'clients',
    `nobody was served for ${spanText(ms)}; of ${load.acknowledged.length} acknowledged orders ${lost} are lost`,
    lost === 0 ? 'good' : 'bad',
  );
}

/** The watch has written down a few times where this primary is. */
async function sampled({ story, signal }: Stage, primary: ClusterServer): Promise<void> {
  const beats = new Set<string>();
  while (beats.size <= SAMPLES) {
    const rows = await primary.sql<{ at: string }>(
      `select at::text as at from lifeboat.heartbeat where writer = 'sampler'`,
    );
    for (const { at } of rows) beats.add(at);
    await sleep(LOOK_MS * 4, undefined, { signal });
  }
  story.add('watch', `the vault knows, second by second, where ${primary.node} is`, 'good');
}

async function lose({ story, signal }: Stage, primary: ClusterServer): Promise<number> {
  const senders = await primary.sql<{ pid: number }>('select pid from pg_stat_replication');
  for (const { pid } of senders) signalled(pid, 'SIGSTOP');
  story.add('world', 'the line between the sites stalls', 'bad');
  await sleep(STALL_MS, undefined, { signal });
  await primary.kill();
  story.add('world', `SIGKILL to all of ${primary.node}`, 'bad');
  return Date.now();
}

/** Somebody who has its old address tries to write; one that does not take sessions yet is asked again. */
async function refusesOrders(server: ClusterServer, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    try {
      await server.sql(`insert into orders (id) values (-1)`);
      return false;
    } catch (error) {
      if ((error as { code?: string }).code === READ_ONLY) return true;
      await sleep(LOOK_MS, undefined, { signal });
    }
  }
}
