import { workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.ts';
import { failure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { MovedTraffic } from '../model/results.ts';
import type { ServiceFacts, SwitchFacts } from '../model/service.ts';
import type { Observed, Traffic } from '../model/traffic.ts';
import { describeTraffic, sameTraffic, STOPPED } from '../model/traffic.ts';
import { moving, quick } from '../options.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { whenLonger } from './patience.ts';

/** A switch answers within seconds; when it takes this long, somebody should look. */
const PATIENCE_MS = 60_000;

/** Of one epoch: for the moves, and one above it to take them back, for which no store has to be asked then. */
const TOKENS = 2;

interface Surroundings {
  service: ServiceFacts;
  journal: Journal;
  notices: Notices;
}

/** The switches of one service in the hands of one run. */
export class TrafficControl {
  readonly epoch: number;
  /** Where each switch sent traffic when the run began. */
  readonly found: ReadonlyMap<string, Traffic>;
  readonly #use: Surroundings;
  /** As we left it, or found it. */
  readonly #at: Map<string, Traffic>;
  /** What we have asked for, so what an attempt that nobody heard of may have made of it. */
  readonly #asked: Traffic[] = [STOPPED];
  readonly #seen = new Map<string, string>();
  /** Where clients may have written since. */
  #address: string | undefined;

  private constructor(use: Surroundings, { epoch, found }: { epoch: number; found: Map<string, Traffic> }) {
    this.#use = use;
    this.epoch = epoch;
    this.found = found;
    this.#at = new Map(found);
  }

  /** Looks where traffic goes and whether it can be moved, and takes a number for our moves. Nothing is moved yet. */
  static async open(use: Surroundings): Promise<TrafficControl> {
    const found = new Map<string, Traffic>();
    let atLeast = 1;
    for (const each of use.service.traffic) {
      const { traffic, token } = await locate(use.service, each, { check: true });
      found.set(each.name, traffic);
      atLeast = Math.max(atLeast, Math.floor(token / TOKENS) + 1);
      use.journal.note(`switch ${each.name}: ${describeTraffic(traffic)}`);
    }
    const { source } = use.service;
    const acts = quick({ summary: `take a number, ${atLeast} or more` });
    const { epoch } = await acts.takeEpoch({ source, run: workflowInfo().runId, atLeast });
    return new TrafficControl(use, { epoch, found });
  }

  get #token(): number {
    return this.epoch * TOKENS;
  }

  stop(): Promise<void> {
    return this.#moveAll(STOPPED);
  }

  /** `percent` of the traffic goes to `address`, the rest nowhere. */
  async send(address: string, percent: number): Promise<void> {
    this.#address = address;
    await this.#moveAll({ [address]: percent });
  }

  /** Where each switch sends traffic now. */
  async look(): Promise<{ name: string; traffic: Traffic }[]> {
    const seen: { name: string; traffic: Traffic }[] = [];
    for (const each of this.#use.service.traffic) {
      const { traffic } = await locate(this.#use.service, each);
      seen.push({ name: each.name, traffic });
    }
    return seen;
  }

  /**
   * As it was found; but stopped, when clients may have written to the recovered cluster already: to send them back would be to
   * part what belongs together, which is for a person to decide. A token of its own keeps late moves of ours from being taken.
   */
  async putBack(): Promise<void> {
    const { journal } = this.#use;
    const now = await this.look();
    const address = this.#address;
    const arrived = address !== undefined && now.some(({ traffic }) => Object.hasOwn(traffic, address));
    for (const { name, traffic } of now.toReversed()) {
      const found = this.found.get(name) ?? STOPPED;
      const isOurs = [found, ...this.#asked].some((each) => sameTraffic(each, traffic));
      if (!isOurs) throw foreign(name, traffic);
      this.#at.set(name, traffic);
      await this.#move(this.#switch(name), { to: arrived ? STOPPED : found, token: this.#token + 1 });
    }
    if (arrived) journal.attention(`clients have reached ${address}: traffic is stopped, not put back; decide by hand`);
    else journal.note('traffic is put back as it was');
  }

  /** What was moved, for the result. */
  moved(): MovedTraffic[] {
    return this.#use.service.traffic.map(({ name }) => ({
      name,
      from: this.found.get(name) ?? STOPPED,
      to: this.#at.get(name) ?? STOPPED,
      found: this.#seen.get(name) ?? '',
    }));
  }

  async #moveAll(to: Traffic): Promise<void> {
    this.#asked.push(to);
    for (const each of this.#use.service.traffic) await this.#move(each, { to, token: this.#token });
  }

  async #move(each: SwitchFacts, { to, token }: { to: Traffic; token: number }): Promise<void> {
    const { service, journal, notices } = this.#use;
    const { name } = each;
    const from = this.#at.get(name) ?? STOPPED;
    const what = `switch ${name}: ${describeTraffic(from)} to ${describeTraffic(to)}`;
    const acts = moving({ summary: what, ...queueOf(each) });
    const then = (): void => {
      journal.attention(`${what} is not done yet: it is tried on; look at switch ${name}`);
      notices.send({ severity: 'critical', title: `service ${service.service}: traffic does not move`, body: what });
    };
    const order = { source: service.source, name, from, to, token };
    const seen = await whenLonger(() => acts.moveTraffic(order), {
      ...{ afterMs: PATIENCE_MS, summary: `patience with switch ${name}`, then },
    });
    this.#at.set(name, to);
    this.#seen.set(name, seen.found);
    journal.note(`${what}: ${seen.found}`);
    journal.attention(undefined);
  }

  #switch(name: string): SwitchFacts {
    const found = this.#use.service.traffic.find((each) => each.name === name);
    if (!found) throw failure('Bug', `switch ${name} is not of this service`);
    return found;
  }
}

function locate({ source }: ServiceFacts, each: SwitchFacts, more: { check?: true } = {}): Promise<Observed> {
  const acts: Activities = quick({ summary: `look where switch ${each.name} sends traffic`, ...queueOf(each) });
  return acts.locateTraffic({ source, name: each.name, ...more });
}

function queueOf({ host }: SwitchFacts): { taskQueue?: string } {
  return host === undefined ? {} : { taskQueue: hostQueue(host) };
}

function foreign(name: string, traffic: Traffic): Error {
  return failure('Precondition', `switch ${name} was moved by somebody else`, {
    place: `switches.${name}`,
    expected: 'where we left it',
    found: describeTraffic(traffic),
    hint: 'it is left as it is; send traffic where it belongs by hand',
  });
}
