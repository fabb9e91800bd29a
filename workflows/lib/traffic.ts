import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { failure } from '../model/failure.ts';
import type { MovedTraffic } from '../model/results.ts';
import type { ServiceFacts, SwitchFacts } from '../model/service.ts';
import type { Traffic } from '../model/traffic.ts';
import { describeTraffic, sameTraffic, STOPPED } from '../model/traffic.ts';
import { moving, quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { worryWhenLonger } from './patience.ts';
import { locate, looksAt, queueOf } from './switch-looks.ts';

/** A switch answers within seconds; when it takes this long, somebody should look. */
const PATIENCE_MS = 60_000;

/** What did not answer before may have come back by the time that all others have moved: longer nobody waits for it. */
const LATE_MS = 30_000;

/** Of one epoch: for the moves, and one above it to take them back, for which no store has to be asked then. */
const TOKENS = 2;

interface Surroundings {
  service: ServiceFacts;
  journal: Journal;
  notices: Notices;
}

interface Opened {
  epoch: number;
  found: Map<string, Traffic>;
  elsewhere: readonly SwitchFacts[];
  doubts: readonly Doubt[];
}

/** A switch that may not move. */
export interface Doubt {
  name: string;
  /** In words, and always the same of one run. */
  why: string;
  /** Nobody could even say where it sends traffic: it is left out until all others have moved. */
  isAway: boolean;
}

export interface Opening {
  /** Site that traffic is to go to, where there are sites. */
  to?: string;
  /** Goes on without those that have not answered for so long, milliseconds; absent: all have to be ready. */
  withoutAfterMs?: number;
}

/** Where clients are sent. */
interface Aim {
  address: string;
  percent: number;
  site?: string | undefined;
}

/** The switches of one service in the hands of one run. */
export class TrafficControl {
  readonly epoch: number;
  /** Where each switch sent traffic when the run began. */
  readonly found: ReadonlyMap<string, Traffic>;
  readonly doubts: readonly Doubt[];
  readonly #use: Surroundings;
  /** Switches that are at none of the sites of this run. */
  readonly #elsewhere: readonly SwitchFacts[];
  /** As we left it, or found it. */
  readonly #at: Map<string, Traffic>;
  /** What we have asked for, so what an attempt that nobody heard of may have made of it. */
  readonly #asked: Traffic[] = [STOPPED];
  readonly #seen = new Map<string, string>();
  /** Where clients may have written since: the address, and the site where there is one. */
  #sides: readonly string[] = [];

  private constructor(use: Surroundings, { epoch, found, elsewhere, doubts }: Opened) {
    this.#elsewhere = elsewhere;
    this.doubts = doubts;
    this.#use = use;
    this.epoch = epoch;
    this.found = found;
    this.#at = new Map(found);
  }

  /**
   * Looks where traffic goes and whether it can be moved (to the site `to`, where there are sites), and takes a number for our
   * moves. Nothing is moved yet.
   */
  static async open(given: Surroundings, { to, withoutAfterMs }: Opening = {}): Promise<TrafficControl> {
    const { service, journal } = given;
    // What is only at other sites is not needed for this one, and may be away with them.
    const isNeeded = ({ sites }: SwitchFacts): boolean => to === undefined || !sites || sites.includes(to);
    const use = { ...given, service: { ...service, traffic: service.traffic.filter(isNeeded) } };
    const elsewhere = service.traffic.filter((each) => !isNeeded(each));
    const found = new Map<string, Traffic>();
    const doubts: Doubt[] = [];
    let atLeast = 1;
    for await (const { each, observed, doubt } of looksAt(use.service, withoutAfterMs)) {
      if (observed) {
        found.set(each.name, observed.traffic);
        atLeast = Math.max(atLeast, Math.floor(observed.token / TOKENS) + 1);
        journal.note(`switch ${each.name}: ${describeTraffic(observed.traffic)}`);
      }
      if (doubt === undefined) continue;
      doubts.push({ name: each.name, why: doubt, isAway: !observed });
      journal.note(`switch ${each.name}: ${doubt}`);
    }
    const { source } = use.service;
    const acts = quick({ summary: `take a number, ${atLeast} or more` });
    const { epoch } = await acts.takeEpoch({ source, run: workflowInfo().runId, atLeast });
    return new TrafficControl(use, { epoch, found, elsewhere, doubts });
  }

  get #token(): number {
    return this.epoch * TOKENS;
  }

  /** Of what can be stopped: compute stays up, and a managed database has a writer always. */
  async stop(): Promise<void> {
    this.#asked.push(STOPPED);
    for (const each of this.#present)
      if (each.stops !== false) await this.#move(each, { to: STOPPED, token: this.#token });
  }

  /** What still leads clients to somewhere, although all that could be stopped is. */
  unstopped(): string[] {
    const { traffic } = this.#use.service;
    const leads = traffic.filter(({ name, overlaps, stops }) => !overlaps && (stops === false || this.#isAway(name)));
    return leads.map(({ name }) => name);
  }

  get #present(): SwitchFacts[] {
    return this.#use.service.traffic.filter(({ name }) => !this.#isAway(name));
  }

  #isAway(name: string): boolean {
    return this.doubts.some((doubt) => doubt.name === name && doubt.isAway) && !this.#at.has(name);
  }

  /** Brings up what works at both sites for a while; where it was it stays up. Nobody is sent there yet. */
  async raise(site: string): Promise<void> {
    for (const each of this.#present) if (each.overlaps && each.sites?.includes(site)) await this.#raise(each, site);
  }

  async #raise(each: SwitchFacts, site: string): Promise<void> {
    const to = { ...(this.#at.get(each.name) ?? STOPPED), [site]: 100 };
    this.#asked.push(to);
    await this.#move(each, { to, token: this.#token });
  }

  /**
   * `percent` of the traffic goes to `address`, the rest nowhere; what goes by sites goes to `site`, which is raised before. Who was
   * away is left out for `sendLate`, but where nobody else would lead clients there: then he is waited for.
   */
  async send(address: string, percent: number, site?: string): Promise<void> {
    this.#sides = [address, ...(site === undefined ? [] : [site])];
    const leading = this.#present.filter(({ overlaps }) => !overlaps);
    const all = this.#use.service.traffic.filter(({ overlaps }) => !overlaps);
    for (const each of leading.length > 0 ? leading : all) await this.#lead(each, { address, percent, site });
  }

  /** Once more those who were away; who still is stays as he is, and is said: what a person has to do. */
  async sendLate(address: string, percent: number, site?: string): Promise<string[]> {
    const left: string[] = [];
    for (const each of this.#use.service.traffic) {
      if (!this.#isAway(each.name)) continue;
      const up = each.overlaps && site !== undefined && each.sites?.includes(site) ? site : undefined;
      if (each.overlaps && up === undefined) continue;
      const work = (): Promise<void> =>
        up === undefined ? this.#lead(each, { address, percent, site }) : this.#raiseLate(each, up);
      try {
        await CancellationScope.withTimeout(LATE_MS, work);
      } catch (error) {
        left.push(`switch ${each.name} has not moved: send it to ${up ?? address} by hand (${messageOf(error)})`);
      }
    }
    return left;
  }

  async #raiseLate(each: SwitchFacts, site: string): Promise<void> {
    await this.#find(each);
    await this.#raise(each, site);
  }

  async #lead(each: SwitchFacts, { address, percent, site }: Aim): Promise<void> {
    const side = each.sites ? site : address;
    if (side === undefined) throw failure('Bug', `switch ${each.name} goes by sites, and none is named`);
    const to = { [side]: percent };
    this.#asked.push(to);
    await this.#find(each);
    await this.#move(each, { to, token: this.#token });
  }

  /** Of one that was away: for as long as it takes. */
  async #find(each: SwitchFacts): Promise<void> {
    if (this.#at.has(each.name)) return;
    const acts = moving({ summary: `look where switch ${each.name} sends traffic`, ...queueOf(each) });
    const { traffic } = await acts.locateTraffic({ source: this.#use.service.source, name: each.name });
    this.#at.set(each.name, traffic);
  }

  /** Takes down what still works at a site that all traffic has left. */
  async leave(site: string): Promise<void> {
    for (const each of [...this.#use.service.traffic, ...this.#elsewhere]) {
      if (!each.overlaps || !each.sites?.includes(site)) continue;
      const now = this.#at.get(each.name) ?? (await locate(this.#use.service, each)).traffic;
      const { [site]: _left, ...rest } = now;
      this.#at.set(each.name, now);
      this.#asked.push(rest);
      await this.#move(each, { to: rest, token: this.#token });
    }
  }

  /** Where each switch sends traffic now; nothing was done to those that are away. */
  async look(): Promise<{ name: string; traffic: Traffic }[]> {
    const seen: { name: string; traffic: Traffic }[] = [];
    for (const each of this.#present) {
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
    const arrived = now.some(({ name, traffic }) => this.#hasArrived(this.#switch(name), traffic));
    for (const { name, traffic } of now.toReversed()) {
      const each = this.#switch(name);
      const found = this.found.get(name) ?? STOPPED;
      const isOurs = [found, ...this.#asked].some((asked) => sameTraffic(asked, traffic));
      if (!isOurs) throw foreign(name, traffic);
      this.#at.set(name, traffic);
      if (arrived && each.stops === false) continue;
      await this.#move(each, { to: arrived ? STOPPED : found, token: this.#token + 1 });
    }
    if (arrived)
      journal.attention(`clients have reached ${this.#sides[0]}: traffic is stopped, not put back; decide by hand`);
    else journal.note('traffic is put back as it was');
  }

  /** Compute that is up somewhere has served nobody yet. */
  #hasArrived({ overlaps }: SwitchFacts, traffic: Traffic): boolean {
    return !overlaps && this.#sides.some((side) => Object.hasOwn(traffic, side));
  }

  /** What was moved, for the result. */
  moved(): MovedTraffic[] {
    return this.#present.map(({ name }) => ({
      name,
      from: this.found.get(name) ?? STOPPED,
      to: this.#at.get(name) ?? STOPPED,
      found: this.#seen.get(name) ?? '',
    }));
  }

  async #move(each: SwitchFacts, { to, token }: { to: Traffic; token: number }): Promise<void> {
    const { service, journal, notices } = this.#use;
    const { name } = each;
    const from = this.#at.get(name) ?? STOPPED;
    const what = `switch ${name}: ${describeTraffic(from)} to ${describeTraffic(to)}`;
    const acts = moving({ summary: what, ...queueOf(each) });
    const order = { source: service.source, name, from, to, token };
    const seen = await worryWhenLonger(() => acts.moveTraffic(order), {
      ...{ afterMs: PATIENCE_MS, summary: `patience with switch ${name}`, journal, notices },
      attention: `${what} is not done yet: it is tried on; look at switch ${name}`,
      ...{ about: `switch ${name}`, title: `service ${service.service}: traffic does not move`, body: what },
    });
    this.#at.set(name, to);
    this.#seen.set(name, seen.found);
    journal.note(`${what}: ${seen.found}`);
  }

  #switch(name: string): SwitchFacts {
    const found = this.#use.service.traffic.find((each) => each.name === name);
    if (!found) throw failure('Bug', `switch ${name} is not of this service`);
    return found;
  }
}

function foreign(name: string, traffic: Traffic): Error {
  return failure('Precondition', `switch ${name} was moved by somebody else`, {
    place: `switches.${name}`,
    expected: 'where we left it',
    found: describeTraffic(traffic),
    hint: 'it is left as it is; send traffic where it belongs by hand',
  });
}
