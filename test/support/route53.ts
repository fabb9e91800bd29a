import type { Change, ResourceRecordSet, RRType } from '@aws-sdk/client-route-53';
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import type { Asked, Aws, Fate } from './aws.ts';
import { CREDENTIALS, refusal } from './aws.ts';
import type { Said } from './dns-responder.ts';

/** A hosted zone of a test, as its owner sees it. */
export interface TestZone {
  id: string;
  name: string;
  put(...sets: ResourceRecordSet[]): Promise<void>;
  sets(name: string, type: RRType): Promise<ResourceRecordSet[]>;
  /** What Route 53 answers to a client, by policy, weight and alias. */
  answer(name: string, type: Said['type']): Promise<Said[]>;
}

let zones = 0;

export async function createZone(aws: Aws): Promise<TestZone> {
  const client = new Route53Client({ endpoint: aws.direct, region: 'us-east-1', credentials: CREDENTIALS });
  const name = `z${(zones += 1)}.example.org`;
  const { HostedZone } = await client.send(new CreateHostedZoneCommand({ Name: name, CallerReference: name }));
  const id = (HostedZone?.Id ?? '').replace('/hostedzone/', '');
  const zone: TestZone = {
    ...{ id, name },
    put: async (...sets) => {
      const Changes = sets.map((set): Change => ({ Action: 'UPSERT', ResourceRecordSet: set }));
      await client.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: id, ChangeBatch: { Changes } }));
    },
    sets: async (wanted, type) =>
      (await allSets(client, id)).filter(({ Name, Type }) => plain(Name ?? '') === plain(wanted) && Type === type),
    answer: async (wanted, type) => {
      const [set] = served(await zone.sets(wanted, type));
      if (!set) return [];
      if (set.AliasTarget) return zone.answer(plain(set.AliasTarget.DNSName ?? ''), type);
      return (set.ResourceRecords ?? []).map(({ Value = '' }) => ({ type, ttl: set.TTL ?? 0, value: Value }));
    },
  };
  return zone;
}

/** The primary; of weighted ones the heaviest, or any where all weigh nothing (Developer Guide, "Weighted routing"). */
function served(sets: readonly ResourceRecordSet[]): ResourceRecordSet[] {
  const primary = sets.filter(({ Failover }) => Failover === 'PRIMARY');
  return primary.length > 0 ? primary : sets.toSorted((a, b) => (b.Weight ?? 0) - (a.Weight ?? 0));
}

async function allSets(client: Route53Client, id: string): Promise<ResourceRecordSet[]> {
  const { ResourceRecordSets } = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: id }));
  return ResourceRecordSets ?? [];
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/**
 * The rules of Route 53 that the simulator does not keep: a batch is done whole or not at all, what is deleted has to be there
 * exactly so, what is created must not be there, and records of one name and type have one policy.
 */
export function strictRoute53(aws: Aws, applied: (batch: { zone: string; changes: string[] }) => void): void {
  const client = new Route53Client({ endpoint: aws.direct, region: 'us-east-1', credentials: CREDENTIALS });
  const before = aws.fate;
  aws.fate = async (asked): Promise<Fate | undefined> => {
    if (asked.action !== 'ChangeResourceRecordSets') return before(asked);
    const zone = /hostedzone\/([^/]+)\//.exec(asked.url)?.[1] ?? '';
    const changes = changesIn(asked);
    if (!isAllowed(await allSets(client, zone), changes)) return refusal(asked, 'InvalidChangeBatch');
    const said = await before(asked);
    if (said === undefined) applied({ zone, changes: changes.map(({ action, set }) => `${action} ${keyOf(set)}`) });
    return said;
  };
}

interface Wish {
  action: string;
  set: ResourceRecordSet;
}

function changesIn({ body }: Asked): Wish[] {
  return [...body.matchAll(/<Change>(.*?)<\/Change>/gs)].map(([, xml = '']) => {
    const one = (tag: string): string | undefined => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(xml)?.[1];
    const number = (tag: string): number | undefined => (one(tag) === undefined ? undefined : Number(one(tag)));
    const values = [...xml.matchAll(/<Value>([^<]*)<\/Value>/g)].map(([, value = '']) => ({
      Value: value.replaceAll('&quot;', '"'),
    }));
    const set = {
      ...{ Name: one('Name'), Type: one('Type') as RRType, SetIdentifier: one('SetIdentifier') },
      ...{ Weight: number('Weight'), Failover: one('Failover') as 'PRIMARY' | 'SECONDARY' | undefined },
      ...{ TTL: number('TTL'), ResourceRecords: values, HealthCheckId: one('HealthCheckId') },
      AliasTarget:
        one('DNSName') === undefined
          ? undefined
          : { DNSName: one('DNSName'), HostedZoneId: '', EvaluateTargetHealth: false },
    };
    return { action: one('Action') ?? '', set };
  });
}

function isAllowed(there: readonly ResourceRecordSet[], wishes: readonly Wish[]): boolean {
  let sets = [...there];
  for (const { action, set } of wishes) {
    if (action === 'DELETE') {
      if (!sets.some((each) => keyOf(each) === keyOf(set))) return false;
      sets = sets.filter((each) => keyOf(each) !== keyOf(set));
    } else {
      if (sets.some((each) => placeOf(each) === placeOf(set))) return false;
      sets.push(set);
    }
  }
  const groups = Map.groupBy(sets, ({ Name = '', Type = 'A' }) => `${plain(Name)} ${Type}`);
  return [...groups.values()].every(isOnePolicy);
}

function isOnePolicy(sets: readonly ResourceRecordSet[]): boolean {
  const weighted = sets.filter(({ Weight }) => Weight !== undefined);
  const roles = sets.flatMap(({ Failover }) => Failover ?? []);
  const weightsFit = weighted.every(({ Weight = 0 }) => Number.isInteger(Weight) && Weight >= 0 && Weight <= 255);
  if (weighted.length > 0) return weighted.length === sets.length && weightsFit;
  if (roles.length > 0) return roles.length === sets.length && new Set(roles).size === roles.length;
  return sets.length === 1;
}

function placeOf({ Name = '', Type, SetIdentifier }: ResourceRecordSet): string {
  return `${plain(Name)} ${Type} ${SetIdentifier ?? ''}`;
}

function keyOf(set: ResourceRecordSet): string {
  const { Weight, Failover, TTL, ResourceRecords = [], AliasTarget } = set;
  const target = AliasTarget ? plain(AliasTarget.DNSName ?? '') : ResourceRecords.map(({ Value }) => Value).join(',');
  const ttl = AliasTarget ? '' : (TTL ?? '');
  return [placeOf(set), Weight ?? '', Failover ?? '', ttl, target].join(' ').trim();
}
