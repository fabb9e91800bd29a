import { isCancellation, sleep } from '@temporalio/workflow';
import type { Readiness } from '../model/readiness.ts';
import { unready } from '../model/readiness.ts';
import { quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import { examine } from './readiness.ts';
import type { Watching } from './watching.ts';

/** Samples and heartbeats are there by then. */
const FIRST_MS = 20_000;
const READINESS = 'readiness';

/** Looks all the time whether the service could be failed over, and tells when that changes. */
export class ReadyWatch {
  readonly #use: Watching;
  #newest: Readiness | undefined;
  #toldBad: boolean;

  constructor(use: Watching, before: { readiness?: Readiness | undefined }) {
    this.#use = use;
    const { readiness } = before;
    // What was found by another configuration says nothing any more.
    this.#newest = readiness?.planHash === use.cluster.planHash ? readiness : undefined;
    this.#toldBad = readiness?.ok === false;
    if (this.#newest && !this.#newest.ok) use.concerns.set(READINESS, saidOf(this.#newest));
  }

  get newest(): Readiness | undefined {
    return this.#newest;
  }

  /** Never ends but by a cancellation. */
  async run(): Promise<never> {
    const { everyMs } = this.#use.cluster.watch.ready;
    if (!this.#newest) await sleep(Math.min(FIRST_MS, everyMs), { summary: 'until readiness is looked at' });
    for (;;) {
      await this.#once();
      await sleep(everyMs, { summary: 'until readiness is looked at again' });
    }
  }

  async #once(): Promise<void> {
    const { cluster, journal, isTroubled, startAfresh } = this.#use;
    try {
      const acts = quick({ summary: `read the configuration of ${cluster.service}` });
      const { planHash } = await acts.describeCluster({ service: cluster.service });
      if (planHash !== cluster.planHash) return startAfresh();
      if (!isTroubled()) this.#found(await examine(this.#use, undefined));
    } catch (error) {
      if (isCancellation(error)) throw error;
      journal.note(`readiness could not be looked at: ${messageOf(error)}`);
    }
  }

  #found(readiness: Readiness): void {
    // Much of a primary that went meanwhile is not ready, and is told by who looks at it.
    if (this.#use.isTroubled()) return;
    const { cluster, notices, concerns } = this.#use;
    this.#newest = readiness;
    concerns.set(READINESS, readiness.ok ? undefined : saidOf(readiness));
    if (readiness.ok === !this.#toldBad) return;
    this.#toldBad = !readiness.ok;
    const { service } = cluster;
    if (readiness.ok) {
      const title = `service ${service} is ready to be failed over again`;
      notices.send({ severity: 'info', title, body: 'Every check holds.', about: READINESS, over: true });
    } else {
      const title = `service ${service} is not ready to be failed over`;
      notices.send({ severity: 'warning', title, body: unready(readiness).join('\n'), about: READINESS });
    }
  }
}

function saidOf(readiness: Readiness): string {
  const [first = '', ...more] = unready(readiness);
  return `not ready to be failed over: ${first}${more.length > 0 ? `, and ${more.length} more: lifeboat ready ${readiness.service}` : ''}`;
}
