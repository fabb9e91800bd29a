import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { failure } from '../../../workflows/model/failure.ts';
import type { Traffic } from '../../../workflows/model/traffic.ts';
import { describeTraffic, trafficProblem } from '../../../workflows/model/traffic.ts';
import { checkSites } from '../sites.ts';
import type { Route53Options } from './options.ts';
import { contentOf, fullName, sideOf } from './records.ts';

/** ConfigInvalid when the record cannot say this, whatever it says now. */
export function checkWish(name: string, options: Route53Options, to: Traffic): void {
  const { sites, policy } = options;
  if (sites) checkSites(name, to, Object.keys(sites));
  const shares = Object.values(to);
  const sum = shares.reduce((total, share) => total + share, 0);
  const fits = policy === 'weighted' ? shares.every(Number.isInteger) : shares.every((share) => share === 100);
  const problem = (sites ? undefined : trafficProblem(to)) ?? (sum > 100 || !fits ? describeTraffic(to) : undefined);
  if (problem === undefined) return;
  throw failure('ConfigInvalid', `switch ${name} cannot send traffic so`, {
    place: `switches.${name}.policy`,
    expected:
      policy === 'weighted' ? 'whole per cent, at most 100 together' : `100 % to one side, as policy ${policy} has it`,
    found: problem,
    hint: policy === 'weighted' ? 'move by whole per cent' : 'make it a weighted record, with policy: weighted',
  });
}

/** The records as they have to be; what the switch does not decide stays as it is. */
export function wantedSets(
  name: string,
  options: Route53Options,
  { sets, to }: { sets: readonly ResourceRecordSet[]; to: Traffic },
): ResourceRecordSet[] {
  const [side] = Object.keys(to);
  if (options.policy === 'weighted') return weightedSets(name, options, { sets, to });
  if (options.policy === 'failover') return failoverSets(name, options, { sets, side });
  return [{ ...base(options), ...contentOf(options, side) }];
}

function base({ record, type }: Route53Options): ResourceRecordSet {
  return { Name: fullName(record), Type: type };
}

const STOPPED_SET = 'lifeboat stopped';

/**
 * A weight is a per cent, and what nobody shall have goes to a record that leads nowhere: were all weights 0, Route 53 would
 * answer each record as often as the others (Developer Guide, "Values specific for weighted records").
 */
function weightedSets(
  name: string,
  options: Route53Options,
  { sets, to }: { sets: readonly ResourceRecordSet[]; to: Traffic },
): ResourceRecordSet[] {
  const missing = 100 - Object.values(to).reduce((sum, share) => sum + share, 0);
  const left = new Map<string | undefined, number>([...Object.entries(to), [undefined, missing]]);
  const there = sets.map((set): ResourceRecordSet => {
    const side = sideOf(name, options, set);
    const weight = left.get(side) ?? 0;
    left.delete(side);
    return { ...set, Weight: weight, ...(set.AliasTarget ? {} : { TTL: options.ttl }) };
  });
  const added = [...left]
    .filter(([, weight]) => weight > 0)
    .map(([side, weight]): ResourceRecordSet => {
      const id = side === undefined ? STOPPED_SET : `lifeboat ${side}`;
      return { ...base(options), SetIdentifier: id, Weight: weight, ...contentOf(options, side) };
    });
  return [...there, ...added];
}

/** Stopped is a primary that leads nowhere and that no health check takes away. */
function failoverSets(
  name: string,
  options: Route53Options,
  { sets, side }: { sets: readonly ResourceRecordSet[]; side: string | undefined },
): ResourceRecordSet[] {
  const [primary, secondary] = (['PRIMARY', 'SECONDARY'] as const).map((role) =>
    sets.find(({ Failover }) => Failover === role),
  );
  const spare = [primary, secondary].map((set) => set && sideOf(name, options, set)).find((at) => at && at !== side);
  const other = spare ?? Object.keys(options.sites ?? {}).find((site) => site !== side);
  const place = (role: 'PRIMARY' | 'SECONDARY', set: ResourceRecordSet | undefined): ResourceRecordSet => ({
    ...base(options),
    ...{ SetIdentifier: set?.SetIdentifier ?? `lifeboat ${role.toLowerCase()}`, Failover: role },
  });
  return [
    { ...place('PRIMARY', primary), ...contentOf(options, side) },
    ...(side === undefined && secondary
      ? [secondary]
      : [{ ...place('SECONDARY', secondary), ...contentOf(options, other) }]),
  ];
}
