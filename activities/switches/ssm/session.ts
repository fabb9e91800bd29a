import type { GetParameterHistoryCommandOutput, ParameterHistory } from '@aws-sdk/client-ssm';
import { GetParameterCommand, GetParameterHistoryCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { failure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { describeTraffic, sameTraffic } from '../../../workflows/model/traffic.ts';
import { AwsCaller } from '../../io/aws/caller.ts';
import { awsClientConfig } from '../../io/aws/client.ts';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { Run } from '../../io/run.ts';
import { stale, stillToDo } from '../compare.ts';
import { checkSites } from '../sites.ts';
import type { SwitchCheck, SwitchSession } from '../switch.ts';
import type { SsmOptions } from './options.ts';

/** One version of the parameter: what readers see, and the number that stands in its description. */
interface Version {
  version: number;
  value: string;
  token: number;
  description: string;
}

/** The description is written with the value, in one call; readers of the value never see it. */
const TOKEN = /\[lifeboat token (\d{1,15})\]$/;
const DESCRIPTION_MOST = 1024;
/** The service keeps no more (Parameter Store, "Working with parameter versions"), oldest first. */
const PAGE = 50;
/** Each one more needs another writer in the same moment. */
const MENDS = 5;

export class SsmSession implements SwitchSession {
  readonly #client: SSMClient;
  readonly #caller: AwsCaller;
  readonly #name: string;
  readonly #options: SsmOptions;

  constructor(name: string, options: SsmOptions, run: Run) {
    this.#client = new SSMClient(awsClientConfig(options));
    this.#caller = new AwsCaller(run, options.timeout);
    this.#name = name;
    this.#options = options;
  }

  async where(): Promise<Observed> {
    return this.#observe(await this.#versions());
  }

  async move(move: Move): Promise<void> {
    this.#checkWish(move.to);
    const versions = await this.#mended(await this.#versions());
    if (stillToDo(this.#name, this.#observe(versions), move) === 'nothing') return;
    const before = newestOf(versions);
    const [site = this.#options.stopped] = Object.keys(move.to);
    const written = await this.#put(site, describe(before.description, move.token));
    if (written !== before.version + 1) await this.#settle(move, { before, written });
  }

  /** As a reader of the parameter sees it. */
  async confirm(to: Traffic): Promise<Confirmation> {
    const { Parameter } = await this.#caller.ask(this.#call('GetParameter'), (at) =>
      this.#client.send(new GetParameterCommand({ Name: this.#options.parameter, WithDecryption: true }), at),
    );
    const value = Parameter?.Value ?? '';
    const traffic = this.#trafficOf(value);
    return { ok: sameTraffic(traffic, to), found: `${value}, version ${Parameter?.Version ?? 'unknown'}` };
  }

  async check(): Promise<SwitchCheck[]> {
    const newest = newestOf(await this.#versions());
    const said = await this.confirm(this.#trafficOf(newest.value));
    return [{ name: 'readers', ok: true, found: said.found, ...(said.ok ? {} : { hint: 'look again in a moment' }) }];
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  #checkWish(to: Traffic): void {
    checkSites(this.#name, to, this.#options.sites);
    const shares = Object.values(to);
    if (shares.length === 0 || (shares.length === 1 && shares[0] === 100)) return;
    throw failure('ConfigInvalid', `switch ${this.#name} can name one site only`, {
      ...{ place: `switches.${this.#name}`, expected: '100 % to one site, or stopped', found: describeTraffic(to) },
      hint: 'move all of it',
    });
  }

  /** Somebody who sets it by hand may leave the number out: the highest one that was ever written counts. */
  #observe(versions: readonly Version[]): Observed {
    const token = Math.max(...versions.map((each) => each.token));
    return { traffic: this.#trafficOf(newestOf(versions).value), token };
  }

  #trafficOf(value: string): Traffic {
    const { parameter, sites, stopped } = this.#options;
    if (value === stopped) return {};
    if (sites.includes(value)) return { [value]: 100 };
    throw failure('Precondition', `switch ${this.#name}: parameter ${parameter} names no site`, {
      ...{ place: this.#place, expected: `one of ${[...sites, stopped].join(', ')}` },
      found: 'something else, not shown because it may be a secret',
      hint: 'set the parameter right, or add the site under sites:',
    });
  }

  get #place(): string {
    return `parameter ${this.#options.parameter} in ${this.#options.region}`;
  }

  #call(action: string): AwsCall {
    return { place: this.#place, action: `ssm:${action}` };
  }

  async #versions(): Promise<Version[]> {
    const call = this.#call('GetParameterHistory');
    const all: Version[] = [];
    let next: string | undefined;
    do {
      const asked = { Name: this.#options.parameter, MaxResults: PAGE, WithDecryption: true };
      const query = { ...asked, ...(next === undefined ? {} : { NextToken: next }) };
      const page: GetParameterHistoryCommandOutput = await this.#caller.ask(call, (at) =>
        this.#client.send(new GetParameterHistoryCommand(query), at),
      );
      if (!page.Parameters) throw garbled(call, 'no versions');
      all.push(...page.Parameters.map(versionOf));
      next = page.NextToken;
    } while (next !== undefined);
    if (all.length === 0) throw garbled(call, 'no version');
    return all.sort((a, b) => a.version - b.version);
  }

  async #put(value: string, description: string): Promise<number> {
    const call = { ...this.#call('PutParameter'), changes: true as const };
    const order = { Name: this.#options.parameter, Value: value, Description: description, Overwrite: true };
    const { Version } = await this.#caller.ask(call, (at) => this.#client.send(new PutParameterCommand(order), at));
    if (Version === undefined) throw garbled(call, 'no version');
    return Version;
  }

  /**
   * What an older run wrote over a newer one, and died before it could take that back, is taken back by whoever comes next. Another one that
   * writes meanwhile is written over by this in turn, so it is looked at again.
   */
  async #mended(versions: readonly Version[]): Promise<readonly Version[]> {
    let now = versions;
    for (let time = 0; time < MENDS; time++) {
      const standing = standingOf(now);
      if (standing === newestOf(now)) return now;
      await this.#put(standing.value, standing.description);
      now = await this.#versions();
    }
    throw failure('Busy', `switch ${this.#name}: others write it all the time`, {
      ...{ place: this.#place, expected: 'nobody else', found: `version ${newestOf(now).version}` },
      hint: 'it is tried again by itself',
    });
  }

  /**
   * Somebody wrote between our look and our write, and was written over. What a newer run, or a person, had said is said again;
   * what an older one had said is gone, as it should be.
   */
  async #settle(move: Move, { before, written }: { before: Version; written: number }): Promise<void> {
    const versions = await this.#versions();
    const between = versions.filter(({ version }) => version > before.version && version < written).at(-1);
    if (!between || newestOf(versions).version !== written) return;
    const newer = between.token > move.token;
    const foreign = between.token <= before.token && between.value !== before.value;
    if (!newer && !foreign) return;
    await this.#put(between.value, between.description);
    if (newer) throw stale(this.#name, { token: move.token, seen: between.token });
    throw failure('Precondition', `switch ${this.#name} was moved by somebody else at the same moment`, {
      ...{ place: this.#place, expected: describeTraffic(move.from), found: between.value },
      hint: 'what they wrote stands again: look, then start again',
    });
  }
}

function newestOf(versions: readonly Version[]): Version {
  const newest = versions.at(-1);
  if (!newest) throw failure('Bug', 'a parameter without a version');
  return newest;
}

/** The newest version that no run wrote with a number below one that was there by then. */
function standingOf(versions: readonly Version[]): Version {
  let standing = newestOf(versions);
  let highest = 0;
  for (const each of versions) {
    // Somebody who sets it by hand leaves the number out.
    if (each.token === 0 || each.token >= highest) standing = each;
    highest = Math.max(highest, each.token);
  }
  return standing;
}

function versionOf({ Version = 0, Value = '', Description = '' }: ParameterHistory): Version {
  return { version: Version, value: Value, token: Number(TOKEN.exec(Description)?.[1] ?? 0), description: Description };
}

/** What a person wrote into it stays. */
function describe(description: string, token: number): string {
  const mark = `[lifeboat token ${token}]`;
  const text = description.replace(TOKEN, '').trim();
  return text === '' ? mark : `${text.slice(0, DESCRIPTION_MOST - mark.length - 1)} ${mark}`;
}
