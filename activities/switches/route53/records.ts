import { randomBytes } from 'node:crypto';
import type { Change, ResourceRecordSet } from '@aws-sdk/client-route-53';
import { failure } from '../../../workflows/model/failure.ts';
import type { Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, parseAddress } from '../../../workflows/model/traffic.ts';
import type { Route53Options } from './options.ts';
import { stoppedValue, tokenRecord } from './options.ts';
import { wholeShares } from './shares.ts';

/** The records as the control plane lists them. */
export interface Found {
  sets: ResourceRecordSet[];
  token: ResourceRecordSet | undefined;
}

/** Names as Route 53 writes them. */
export function fullName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower : `${lower}.`;
}

export function observe(name: string, options: Route53Options, { sets, token }: Found): Observed {
  const { policy, record } = options;
  if (sets.length === 0)
    throw failure('NotFound', `switch ${name}: there is no record ${record} of type ${options.type}`, {
      ...{ place: `zone ${options.zone}`, expected: `a record of policy ${policy}`, found: 'none' },
      hint: 'create the record as it shall be in normal times, or correct switches:',
    });
  const other = sets.map(policyOf).find((each) => each !== policy);
  if (other !== undefined)
    throw failure('Precondition', `switch ${name}: record ${record} has another policy`, {
      ...{ place: `zone ${options.zone}`, expected: policy, found: other },
      hint: `write policy: ${other}, or make the record again`,
    });
  return { traffic: trafficOf(name, options, sets), token: tokenOf(name, options, token) };
}

function trafficOf(name: string, options: Route53Options, sets: readonly ResourceRecordSet[]): Traffic {
  if (options.policy === 'weighted')
    return wholeShares(sets.map((set) => ({ side: sideOf(name, options, set), weight: set.Weight ?? 0 })));
  const serving = options.policy === 'failover' ? sets.find(({ Failover }) => Failover === 'PRIMARY') : sets[0];
  const side = serving && sideOf(name, options, serving);
  return side === undefined ? {} : { [side]: 100 };
}

export function policyOf({ Weight, Failover, SetIdentifier }: ResourceRecordSet): string {
  if (Failover !== undefined) return 'failover';
  if (Weight !== undefined) return 'weighted';
  return SetIdentifier === undefined ? 'simple' : 'another one';
}

/** undefined: it serves nobody. Precondition when it is none that this switch could move. */
export function sideOf(name: string, options: Route53Options, set: ResourceRecordSet): string | undefined {
  const [first, ...more] = (set.ResourceRecords ?? []).map(({ Value }) => Value ?? '');
  const target = set.AliasTarget?.DNSName ?? first ?? '';
  const { sites, port } = options;
  if (more.length === 0) {
    if (sameTarget(target, stoppedValue(options))) return undefined;
    const site = siteAt(options, target);
    if (site !== undefined) return site;
    if (port !== undefined && !set.AliasTarget) return addressText({ host: target.replace(/\.$/, ''), port });
  }
  throw failure('Precondition', `switch ${name}: record ${options.record} goes to what is no side of it`, {
    place: `zone ${options.zone}`,
    expected: sites ? `one of ${Object.keys(sites).join(', ')}` : 'one value, and no alias',
    found: [target, ...more].join(', '),
    hint: 'declare it under sites:, or correct the record',
  });
}

function siteAt({ sites = {} }: Route53Options, target: string): string | undefined {
  return Object.keys(sites).find((name) => sameTarget(sites[name]?.value ?? sites[name]?.alias?.name ?? '', target));
}

function sameTarget(one: string, other: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replace(/\.$/, '');
  return plain(one) === plain(other);
}

const TOKEN = /^"lifeboat token (\d{1,15}) move [0-9a-f]+"$/;

/** 0 before the first move. What somebody else has there would be deleted with the next one: it is refused. */
function tokenOf(name: string, options: Route53Options, set: ResourceRecordSet | undefined): number {
  if (!set) return 0;
  const [only = '', ...more] = (set.ResourceRecords ?? []).map(({ Value }) => Value ?? '');
  const token = TOKEN.exec(only)?.[1];
  if (token !== undefined && more.length === 0) return Number(token);
  throw failure('ConfigInvalid', `switch ${name}: ${tokenRecord(options)} has TXT records of somebody else`, {
    ...{ place: `TXT ${tokenRecord(options)}`, expected: 'a name for the token alone' },
    ...{ found: [only, ...more].join(', ').slice(0, 200), hint: 'give `tokenRecord` a name that is free' },
  });
}

/**
 * One batch, which Route 53 takes whole or not at all. What is there is deleted as it was seen, the token too: when anything
 * has changed since, nothing is done, and that is the comparison. Each move writes another text beside its token.
 */
export function batchFor(
  options: Route53Options,
  found: Found,
  order: { wanted: ResourceRecordSet[]; token: number },
): Change[] {
  const { sets, token } = found;
  const { wanted } = order;
  const next: ResourceRecordSet = {
    ...{ Name: fullName(tokenRecord(options)), Type: 'TXT', TTL: options.ttl },
    ResourceRecords: [{ Value: `"lifeboat token ${order.token} move ${randomBytes(4).toString('hex')}"` }],
  };
  const gone = sets.filter((set) => !wanted.some((each) => sameSet(each, set)));
  const made = wanted.filter((set) => !sets.some((each) => sameSet(each, set)));
  return [
    ...[...gone, ...(token ? [token] : [])].map((set): Change => ({ Action: 'DELETE', ResourceRecordSet: set })),
    ...[...made, next].map((set): Change => ({ Action: 'CREATE', ResourceRecordSet: set })),
  ];
}

function sameSet(one: ResourceRecordSet, other: ResourceRecordSet): boolean {
  return setKey(one) === setKey(other);
}

function setKey(set: ResourceRecordSet): string {
  const { Name = '', Type, SetIdentifier, Weight, Failover, TTL, ResourceRecords, AliasTarget, HealthCheckId } = set;
  const values = AliasTarget ? [] : (ResourceRecords ?? []).map(({ Value }) => Value);
  const alias = AliasTarget
    ? [AliasTarget.HostedZoneId, fullName(AliasTarget.DNSName ?? ''), AliasTarget.EvaluateTargetHealth]
    : [];
  const place = [fullName(Name), Type, SetIdentifier, Weight, Failover, HealthCheckId];
  return JSON.stringify([...place.map((each) => each ?? null), AliasTarget ? null : (TTL ?? null), values, alias]);
}

/** What a record says for a side, without where it stands. */
export function contentOf(options: Route53Options, side: string | undefined): Partial<ResourceRecordSet> {
  const { sites, ttl } = options;
  const site = side === undefined ? undefined : sites?.[side];
  const check = site?.healthCheck === undefined ? {} : { HealthCheckId: site.healthCheck };
  if (site?.alias) {
    const { name, zone, evaluateHealth } = site.alias;
    return {
      AliasTarget: { HostedZoneId: zone, DNSName: fullName(name), EvaluateTargetHealth: evaluateHealth },
      ...check,
    };
  }
  const value = side === undefined ? stoppedValue(options) : (site?.value ?? parseAddress(side)?.host ?? side);
  return { TTL: ttl, ResourceRecords: [{ Value: value }], ...check };
}
