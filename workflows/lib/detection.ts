import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { condition, isCancellation, sleep } from '@temporalio/workflow';
import { candidateOf } from '../model/cluster.ts';
import type { FailoverOrder } from '../model/failover.ts';
import { hostQueue, workflowId } from '../model/names.ts';
import type { Observation, OutageVerdict } from '../model/outage.ts';
import { describeOutage, digestOf, isGone, judgeOutage, servingNode, servingNodes } from '../model/outage.ts';
import type { OutageState } from '../model/outage-watch.ts';
import { advance, lastWriteMs, WELL } from '../model/outage-watch.ts';
import { observing, quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import { keepAway } from './keep-away.ts';
import { startOnItsOwn } from './start-on-its-own.ts';
import { nowMs } from './time.ts';
import type { Watching } from './watching.ts';

const SHORTEST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

/** What people are told of: each is one thing, however much is said of it. */
const OUTAGE = 'outage';
const SEVERAL = 'two primaries';

/** What a watch knows from before. */
export interface Detected {
  state: OutageState;
  /** Node that was seen to serve last. */
  primary?: string;
  /** That several take writes, once people were told. */
  several?: string;
}

/** Several observers, what they say together, and what is done about it. */
export class Detection {
  readonly #use: Omit<Watching, 'isTroubled'>;
  /** Of the observers that look now: one that sees nothing new is silent, and lives. */
  readonly #observations = new Map<string, Observation>();
  #news = 0;
  #state: OutageState;
  #primary: string | undefined;
  #several: string | undefined;
  /** The same, while it is looked which of them is to be ended. */
  #keeping: string | undefined;

  constructor(use: Omit<Watching, 'isTroubled'>, before: Detected | undefined) {
    this.#use = use;
    this.#state = before?.state ?? WELL;
    this.#primary = before?.primary;
    this.#several = before?.several;
    use.concerns.set(SEVERAL, this.#several);
    const { outage, told } = this.#state;
    if (told !== undefined && this.#primary !== undefined)
      use.concerns.set(OUTAGE, describeOutage(outage, this.#primary));
  }

  get detected(): Detected {
    const [primary, several] = [this.#primary, this.#several];
    return {
      state: this.#state,
      ...(primary === undefined ? {} : { primary }),
      ...(several === undefined ? {} : { several }),
    };
  }

  get isTroubled(): boolean {
    return this.#state.outage !== 'none';
  }

  /** Never ends but by a cancellation. */
  async run(): Promise<void> {
    const { observers } = this.#use.cluster.watch;
    await Promise.all([...observers.map((host) => this.#observe(host)), this.#judgeAlways()]);
  }

  async #observe(host: string): Promise<never> {
    const { source, service, limits } = this.#use.cluster;
    let seen: string | undefined;
    let pauseMs = SHORTEST_PAUSE_MS;
    for (;;) {
      try {
        const acts = observing(
          { summary: `observe ${service} from ${host}`, taskQueue: hostQueue(host) },
          limits.lookMs,
        );
        const task = { source, service, ...(seen === undefined ? {} : { seen }) };
        const observation = await acts.observeCluster(task);
        seen = digestOf(observation.sights);
        pauseMs = SHORTEST_PAUSE_MS;
        this.#heard(host, observation);
      } catch (error) {
        if (isCancellation(error)) throw error;
        seen = undefined;
        this.#heard(host, undefined, messageOf(error));
        await sleep(pauseMs, { summary: `until ${host} is asked again` });
        pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
      }
    }
  }

  #heard(host: string, observation: Observation | undefined, why = ''): void {
    const before = this.#observations.get(host);
    if (observation) this.#observations.set(host, observation);
    else this.#observations.delete(host);
    if (!observation && before) this.#use.journal.note(`no word from ${host}: ${why}`);
    this.#news += 1;
  }

  async #judgeAlways(): Promise<never> {
    for (;;) {
      const news = this.#news;
      const againMs = news === 0 ? undefined : await this.#judge();
      const isNew = (): boolean => this.#news !== news;
      if (againMs === undefined) await condition(isNew);
      else await condition(isNew, Math.max(1, againMs), { summary: 'until the outage has lasted' });
    }
  }

  /** How long it may take until it is judged again without any news; undefined: for ever. */
  async #judge(): Promise<number | undefined> {
    const { nodes, watch } = this.#use.cluster;
    const observations = [...this.#observations.values()];
    this.#tellSeveral(servingNodes(observations));
    const primary = servingNode({ nodes, observations }, this.#primary);
    if (primary === undefined) return undefined;
    if (this.#primary !== primary) this.#use.journal.note(`the primary is ${primary}`);
    this.#primary = primary;
    const verdict = judgeOutage({ nodes, observers: watch.observers, primary, observations });
    const { state, what, againMs } = advance(this.#state, verdict, { rules: watch.rules, nowMs: nowMs() });
    if (state.outage !== this.#state.outage) this.#use.journal.step(describeOutage(state.outage, primary));
    this.#state = state;
    if (what.act === 'tell') this.#tell(verdict, undefined);
    else if (what.act === 'ask') this.#tell(verdict, what.why);
    else if (what.act === 'over') this.#over(primary);
    else if (what.act === 'start') await this.#start(verdict);
    return againMs === undefined ? undefined : againMs - nowMs();
  }

  /** Each of them takes writes that the other will never have: but where a failover has left one, nobody of ours can decide which are to go. */
  #tellSeveral(serving: readonly string[]): void {
    const said = serving.length > 1 ? `two primaries: ${serving.join(' and ')} take writes` : undefined;
    this.#keepAway(serving, said);
    if (said === this.#several) return;
    this.#several = said;
    const { cluster, notices, concerns } = this.#use;
    concerns.set(SEVERAL, said);
    if (said === undefined) {
      const title = `service ${cluster.service}: no two primaries any more`;
      return notices.over(SEVERAL, { title, body: 'What the one took that was stopped is on it alone.' });
    }
    const body = 'Stop the one that clients should not write to, now; what it took since the fork is on it alone.';
    notices.send({ severity: 'critical', title: `service ${cluster.service}: ${said}`, body, about: SEVERAL });
  }

  #keepAway(serving: readonly string[], said: string | undefined): void {
    if (said === this.#keeping) return;
    this.#keeping = said;
    if (said === undefined) return;
    const ending = keepAway(this.#use, serving, () => this.#keeping === said);
    // Only a cancellation ends it, which ends all of this.
    ending.catch(() => undefined);
  }

  /** `why`: a person has to decide now, and why it is not done by itself. */
  #tell(verdict: OutageVerdict, why: string | undefined): void {
    const { cluster, notices, concerns } = this.#use;
    const says = describeOutage(verdict.outage, verdict.primary);
    const next = why === undefined ? '' : this.#nextCommand(verdict);
    concerns.set(OUTAGE, next === '' ? says : `${says}: ${next}`);
    const title = `service ${cluster.service}: ${says}`;
    const lines = [...verdict.why, ...(why === undefined ? [] : [`not by itself: ${why}`, `next: ${next}`])];
    const severity = why === undefined ? 'warning' : 'critical';
    notices.send({ severity, title, body: lines.join('\n'), about: OUTAGE });
  }

  #over(primary: string): void {
    const { cluster, notices, concerns } = this.#use;
    concerns.set(OUTAGE, undefined);
    notices.send({
      severity: 'info',
      title: `service ${cluster.service}: ${primary} serves`,
      body: 'It is as it should be again.',
      ...{ about: OUTAGE, over: true },
    });
  }

  #nextCommand(verdict: OutageVerdict): string {
    const { service } = this.#use.cluster;
    const order = this.#orderFor(verdict);
    const { outage, primary } = verdict;
    if (isGone(outage)) {
      const since = order.since === undefined ? '' : ` --since ${order.since}`;
      return `lifeboat failover ${service} --to ${order.to} --unplanned${since}`;
    }
    if (outage === 'standby-isolated') return `nothing at ${primary}: see the standby and its network`;
    if (outage === 'unknown')
      return `lifeboat status; the workers of ${this.#use.cluster.watch.observers.join(', ')} have to run`;
    return `look at ${primary}; lifeboat failover ${service} --to ${order.to} --planned --dry-run`;
  }

  #orderFor({ candidate }: OutageVerdict): FailoverOrder {
    const { cluster } = this.#use;
    const { to = candidate } = cluster.watch;
    const sinceMs = lastWriteMs(this.#state);
    return {
      ...{ service: cluster.service, to: to === undefined ? 'SITE' : candidateOf(cluster, to).site },
      ...{ mode: 'unplanned' as const, by: workflowId.watch(cluster.service) },
      ...(sinceMs === undefined ? {} : { since: new Date(sinceMs).toISOString() }),
    };
  }

  /** It looks at everything again, keeps to the rules, and ends when the primary lives. What it may do without asking stands in the configuration. */
  async #start(verdict: OutageVerdict): Promise<void> {
    const { cluster, journal, notices, concerns, startAfresh } = this.#use;
    const { service } = cluster;
    const order = this.#orderFor(verdict);
    try {
      const acts = quick({ summary: `read the configuration of ${service}` });
      if ((await acts.describeCluster({ service })).planHash !== cluster.planHash) {
        this.#tell(verdict, 'the configuration has changed meanwhile');
        return startAfresh();
      }
      const id = workflowId.failover(service);
      const { ended } = await startOnItsOwn('failover', {
        id,
        input: order,
        summary: `unplanned failover of ${service} to ${order.to}, by itself`,
      });
      this.#state = { ...this.#state, failedOverMs: nowMs() };
      const says = describeOutage(verdict.outage, verdict.primary);
      concerns.set(OUTAGE, `${says}: ${id} was started`);
      journal.note(`${id} was started`);
      const body = [...verdict.why, `lifeboat status ${id} --follow`].join('\n');
      notices.send({
        severity: 'critical',
        title: `service ${service}: ${says}; failover to ${order.to} was started`,
        ...{ body, about: OUTAGE },
      });
      ended.then(
        () => journal.note(`${id} is done`),
        (error: unknown) => this.#failed(verdict, messageOf(error)),
      );
    } catch (error) {
      if (isCancellation(error)) throw error;
      if (error instanceof WorkflowExecutionAlreadyStartedError) journal.note('a failover runs already');
      else this.#tell(verdict, messageOf(error));
    }
  }

  #failed(verdict: OutageVerdict, message: string): void {
    this.#use.journal.note(`failover: ${message}`);
    if (this.isTroubled) this.#tell(verdict, message);
  }
}
