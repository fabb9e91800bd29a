import { AddTagsToResourceCommand, RDSClient } from '@aws-sdk/client-rds';
import { failure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { describeTraffic } from '../../../workflows/model/traffic.ts';
import { AwsCaller } from '../../io/aws/caller.ts';
import { awsClientConfig } from '../../io/aws/client.ts';
import type { Run } from '../../io/run.ts';
import { stillToDo } from '../compare.ts';
import { checkSites } from '../sites.ts';
import type { SwitchCheck, SwitchSession } from '../switch.ts';
import { aurora } from './aurora.ts';
import { global } from './global.ts';
import type { RdsOptions } from './options.ts';
import { replica } from './replica.ts';
import type { RdsState, RdsUse, RdsWay } from './way.ts';
import { tokenTag } from './way.ts';

const WAYS: Record<RdsOptions['way'], RdsWay> = { aurora, replica, global };

export class RdsSession implements SwitchSession {
  readonly #clients = new Map<string, RDSClient>();
  readonly #use: RdsUse;
  readonly #way: RdsWay;

  constructor(name: string, options: RdsOptions, run: Run) {
    const client = (region = options.region): RDSClient => {
      const known = this.#clients.get(region);
      const made = known ?? new RDSClient(awsClientConfig({ ...options, region }));
      this.#clients.set(region, made);
      return made;
    };
    this.#use = { name, options, caller: new AwsCaller(run, options.timeout), client };
    this.#way = WAYS[options.way];
  }

  async where(): Promise<Observed> {
    return observe(await this.#way.look(this.#use));
  }

  async move(move: Move): Promise<void> {
    const { name, options } = this.#use;
    const { to, token } = move;
    checkSites(name, to, Object.keys(options.sites));
    const [site, ...more] = Object.keys(to);
    if (site === undefined || more.length > 0 || to[site] !== 100) throw oneWriter(name, to);
    const state = await this.#way.look(this.#use);
    const verdict = stillToDo(name, observe(state), move);
    if (verdict === 'nothing') return;
    if (verdict === 'token') return this.#claim(state.tagged, token);
    if (!state.settled) throw notSettled(name, state);
    await this.#claim(this.#tagOf(site, state), token);
    await this.#way.order(this.#use, { site, token, state });
  }

  /** The writer, and what has become of the old one. */
  async confirm(to: Traffic): Promise<Confirmation> {
    const state = await this.#way.look(this.#use);
    const isThere = state.writer !== undefined && to[state.writer] === 100;
    const said = [...state.sites, ...(state.note === undefined ? [] : [state.note])].join('; ');
    return { ok: isThere && state.settled, found: said };
  }

  async check(): Promise<SwitchCheck[]> {
    const { options } = this.#use;
    const { settled, sites, note } = await this.#way.look(this.#use);
    const isWell = settled && note === undefined;
    const finding: SwitchCheck = {
      ...{ name: 'instances', ok: true, found: sites.join('; ') },
      ...(isWell ? {} : { hint: note ?? 'wait until all are available' }),
    };
    if (options.way !== 'replica') return [finding];
    const hint = 'a promotion is for good: the way back is a new read replica';
    return [finding, { name: 'way back', ok: true, found: 'none once it has moved', hint }];
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) client.destroy();
    return Promise.resolve();
  }

  /** Of a promotion the new writer carries the number: it is what tells it from the old one. */
  #tagOf(site: string, state: RdsState): string {
    const { options } = this.#use;
    if (options.way !== 'replica') return state.tagged;
    const at = options.sites[site];
    const [partition, service, region, account] = state.tagged.split(':').slice(1);
    return ['arn', partition, service, at?.region ?? options.region ?? region, account, 'db', at?.instance].join(':');
  }

  async #claim(arn: string, token: number): Promise<void> {
    const call = { place: arn, action: 'rds:AddTagsToResource', changes: true as const };
    const region = arn.split(':')[3];
    const order = { ResourceName: arn, Tags: [tokenTag(token)] };
    await this.#use.caller.ask(call, (at) =>
      this.#use.client(region || undefined).send(new AddTagsToResourceCommand(order), at),
    );
  }
}

function observe({ writer, token, note }: RdsState): Observed {
  return { traffic: writer === undefined ? {} : { [writer]: 100 }, token, ...(note === undefined ? {} : { note }) };
}

function oneWriter(name: string, to: Traffic): Error {
  return failure('Unsupported', `switch ${name}: a database of RDS has one writer, neither none nor several`, {
    ...{ place: `switches.${name}`, expected: '100 % to one site', found: describeTraffic(to) },
    hint: 'stop what sends clients to it instead: a record, a pool, the application',
  });
}

/** Unsettled means that a move is under way, ours or another one's. */
function notSettled(name: string, { sites, note }: RdsState): Error {
  return failure('Busy', `switch ${name}: something is under way`, {
    ...{ place: `switches.${name}`, expected: 'all available', found: note ?? sites.join('; ') },
    hint: 'it is tried again by itself',
  });
}
