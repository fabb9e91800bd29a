import type { Change, ListResourceRecordSetsCommandOutput, ResourceRecordSet, RRType } from '@aws-sdk/client-route-53';
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { failure, isRetryable } from '../../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import { AwsCaller } from '../../io/aws/caller.ts';
import { awsClientConfig } from '../../io/aws/client.ts';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { Run } from '../../io/run.ts';
import { stillToDo } from '../compare.ts';
import type { SwitchCheck, SwitchSession } from '../switch.ts';
import type { Route53Options } from './options.ts';
import { tokenRecord } from './options.ts';
import type { Found } from './records.ts';
import { batchFor, fullName, observe } from './records.ts';
import { confirmByResolvers } from './resolve.ts';
import { checkWish, wantedSets } from './wanted.ts';

const SYNC_LOOK_MS = 1_000;

export class Route53Session implements SwitchSession {
  readonly #client: Route53Client;
  readonly #caller: AwsCaller;
  readonly #name: string;
  readonly #options: Route53Options;
  readonly #run: Run;

  constructor(name: string, options: Route53Options, run: Run) {
    this.#client = new Route53Client(awsClientConfig(options));
    this.#caller = new AwsCaller(run, options.timeout);
    this.#name = name;
    this.#options = options;
    this.#run = run;
  }

  async where(): Promise<Observed> {
    return observe(this.#name, this.#options, await this.#look());
  }

  async move(move: Move): Promise<void> {
    const [name, options] = [this.#name, this.#options];
    checkWish(name, options, move.to);
    const found = await this.#look();
    const verdict = stillToDo(name, observe(name, options, found), move);
    if (verdict === 'nothing') return;
    const wanted = verdict === 'token' ? found.sets : wantedSets(name, options, { sets: found.sets, to: move.to });
    await this.#change(batchFor(options, found, { wanted, token: move.token }));
  }

  confirm(to: Traffic): Promise<Confirmation> {
    return confirmByResolvers(this.#options, to, this.#run);
  }

  async check(): Promise<SwitchCheck[]> {
    const { zone, record, ttl } = this.#options;
    const { HostedZone } = await this.#caller.ask(this.#call('GetHostedZone'), (at) =>
      this.#client.send(new GetHostedZoneCommand({ Id: zone }), at),
    );
    const zoneName = HostedZone?.Name ?? '';
    const isInside = fullName(record) === zoneName || fullName(record).endsWith(`.${zoneName}`);
    const found = await this.#look();
    const longest = Math.max(0, ...found.sets.map(({ TTL = 0 }) => TTL));
    const checked = found.sets.some(({ HealthCheckId }) => HealthCheckId !== undefined);
    const seen = await this.confirm(observe(this.#name, this.#options, found).traffic);
    return [
      {
        ...{
          name: 'zone',
          ok: isInside,
          found: `${zoneName} (${HostedZone?.Config?.PrivateZone ? 'private' : 'public'})`,
        },
        ...(isInside ? {} : { hint: `name a record of ${zoneName}, or the zone of ${record}` }),
      },
      {
        ...{ name: 'TTL', ok: longest <= ttl, found: `${longest} s, ${ttl} s wanted` },
        ...(longest <= ttl ? {} : { hint: 'lower it now: clients keep an old answer that long after a move' }),
      },
      // One that is away does not keep anybody from moving.
      {
        ...{ name: 'resolvers', ok: true, found: seen.found },
        ...(seen.ok ? {} : { hint: 'correct resolvers, or wait until they have it' }),
      },
      {
        ...{ name: 'control plane', ok: true },
        found: 'a move needs the control plane of Route 53, which is in us-east-1; answers to clients do not',
      },
      ...(this.#options.policy === 'weighted' && checked ? [REVIVAL] : []),
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  #call(action: string): AwsCall {
    const { zone, record, type } = this.#options;
    return { place: `zone ${zone} record ${record} ${type}`, action: `route53:${action}` };
  }

  async #look(): Promise<Found> {
    const { record, type } = this.#options;
    const sets = await this.#list(record, type);
    const [token] = await this.#list(tokenRecord(this.#options), 'TXT');
    return { sets, token };
  }

  async #list(record: string, type: RRType): Promise<ResourceRecordSet[]> {
    const wanted = fullName(record);
    const isOurs = ({ Name, Type }: ResourceRecordSet): boolean => fullName(Name ?? '') === wanted && Type === type;
    const all: ResourceRecordSet[] = [];
    let from: object | undefined = { StartRecordName: wanted, StartRecordType: type };
    while (from) {
      const query = new ListResourceRecordSetsCommand({ HostedZoneId: this.#options.zone, ...from });
      const call = this.#call('ListResourceRecordSets');
      const page: ListResourceRecordSetsCommandOutput = await this.#caller.ask(call, (at) =>
        this.#client.send(query, at),
      );
      if (!page.ResourceRecordSets) throw garbled(call, 'no list of records');
      all.push(...page.ResourceRecordSets.filter(isOurs).map(asItIsTaken));
      const { IsTruncated, NextRecordName, NextRecordType, NextRecordIdentifier } = page;
      const goesOn = IsTruncated && fullName(NextRecordName ?? '') === wanted && NextRecordType === type;
      from = goesOn
        ? { StartRecordName: NextRecordName, StartRecordType: type, StartRecordIdentifier: NextRecordIdentifier }
        : undefined;
    }
    return all;
  }

  async #change(changes: Change[]): Promise<void> {
    const call = { ...this.#call('ChangeResourceRecordSets'), changes: true as const };
    const batch = { HostedZoneId: this.#options.zone, ChangeBatch: { Comment: 'lifeboat', Changes: changes } };
    const { ChangeInfo } = await this.#caller.ask(call, (at) =>
      this.#client.send(new ChangeResourceRecordSetsCommand(batch), at),
    );
    const id = ChangeInfo?.Id?.replace('/change/', '');
    if (!id) throw garbled(call, 'no id of the change');
    await this.#inSync(id);
  }

  /** Until every server of Route 53 has it; that a look fails says nothing of the change. */
  async #inSync(id: string): Promise<void> {
    const { syncWithin } = this.#options;
    const { clock, signal, progress } = this.#run;
    const untilMs = clock.nowMs() + syncWithin;
    for (;;) {
      const status = await this.#statusOf(id);
      if (status === 'INSYNC') return;
      if (clock.nowMs() >= untilMs) throw this.#notInSync(id, status);
      progress({ phase: `wait for change ${id} of ${this.#name}`, note: status });
      await clock.sleep(SYNC_LOOK_MS, signal);
    }
  }

  async #statusOf(id: string): Promise<string> {
    try {
      const { ChangeInfo } = await this.#caller.ask(this.#call('GetChange'), (at) =>
        this.#client.send(new GetChangeCommand({ Id: id }), at),
      );
      return ChangeInfo?.Status ?? 'unknown';
    } catch (error) {
      if (!isRetryable(error)) throw error;
      return 'unknown';
    }
  }

  #notInSync(id: string, status: string): Error {
    const after = formatDuration(this.#options.syncWithin);
    return failure('OutcomeUnknown', `switch ${this.#name}: change ${id} is ${status} after ${after}`, {
      place: `zone ${this.#options.zone}`,
      expected: `INSYNC within ${after}`,
      found: status,
      hint: 'Route 53 has taken it: look whether resolvers have it',
    });
  }
}

/** Of an alias an empty list of values is told, and refused when it is sent back. */
function asItIsTaken({ ResourceRecords, ...set }: ResourceRecordSet): ResourceRecordSet {
  return ResourceRecords && ResourceRecords.length > 0 ? { ...set, ResourceRecords } : set;
}

const REVIVAL: SwitchCheck = {
  ...{ name: 'health checks', ok: true, found: 'weighted records have health checks' },
  hint: 'where all records with a weight are unhealthy, Route 53 answers those of weight 0: keep the old side fenced',
};
