import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { Aws } from '../support/aws.ts';
import { awsOptions, failOnce, refusal, startAws } from '../support/aws.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { startDnsResponder } from '../support/dns-responder.ts';
import type { TestZone } from '../support/route53.ts';
import { createZone, strictRoute53 } from '../support/route53.ts';
import type { SwitchPlace } from '../support/switch-contract.ts';
import { switchContract } from '../support/switch-contract.ts';

let aws: Aws;
let resolver: Awaited<ReturnType<typeof startDnsResponder>>;
let zone: TestZone;
let applied: string[][] = [];

before(async () => {
  aws = await startAws();
  resolver = await startDnsResponder((name, type) => zone.answer(name, type));
});

after(async () => {
  await resolver[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
});

const OLD = '10.0.0.7';
const NEW = '10.0.0.9';
const HOME = { '10.0.0.7:5432': 100 };
const AWAY = { '10.0.0.9:5432': 100 };
const SITES = { dc1: { value: OLD }, dc2: { value: NEW } };

/** A new zone, in which Route 53 keeps its rules. */
async function newZone(): Promise<TestZone> {
  aws.fate = () => undefined;
  aws.asked.length = 0;
  applied = [];
  const made = (zone = await createZone(aws));
  strictRoute53(aws, (batch) => {
    if (batch.zone === made.id) applied.push(batch.changes.filter((change) => !change.includes(' TXT ')));
  });
  return made;
}

const recordOf = (): string => `db.${zone.name}`;

function record(value: string, more: Partial<ResourceRecordSet> = {}): ResourceRecordSet {
  return { Name: recordOf(), Type: 'A', TTL: 60, ResourceRecords: [{ Value: value }], ...more };
}

function open(options: object = {}, signal?: AbortSignal): SwitchSession {
  const own = { zone: zone.id, record: recordOf(), resolvers: [resolver.address], ...awsOptions(aws.endpoint) };
  const side = 'sites' in options ? {} : { port: 5432 };
  return findSwitch('route53').open('dns', { ...own, ...side, ...options }, plainRun(signal ? { signal } : {}));
}

function placeOf(options: object, sides: Pick<SwitchPlace, 'home' | 'away'>): SwitchPlace {
  return {
    ...sides,
    open: ({ signal, timeout } = {}) => open({ ...options, ...(timeout === undefined ? {} : { timeout }) }, signal),
    fail: (fault) => Promise.resolve(failOnce(aws, 'ChangeResourceRecordSets', fault)),
    changes: () => Promise.resolve(applied.filter((batch) => batch.length > 0).map((batch) => batch.join('; '))),
  };
}

switchContract(
  'route53',
  async () => {
    await (await newZone()).put(record(OLD));
    return placeOf({}, { home: HOME, away: AWAY });
  },
  'simple',
);

switchContract(
  'route53',
  async () => {
    const made = await newZone();
    await made.put(record(OLD, { SetIdentifier: 'one', Weight: 7 }), record(NEW, { SetIdentifier: 'two', Weight: 0 }));
    return placeOf({ policy: 'weighted' }, { home: HOME, away: AWAY });
  },
  'weighted',
);

switchContract(
  'route53',
  async () => {
    const made = await newZone();
    const [first, second] = ['PRIMARY', 'SECONDARY'] as const;
    await made.put(
      record(OLD, { SetIdentifier: '1', Failover: first }),
      record(NEW, { SetIdentifier: '2', Failover: second }),
    );
    return placeOf({ policy: 'failover', sites: SITES }, { home: { dc1: 100 }, away: { dc2: 100 } });
  },
  'failover',
);

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;
const moved = { from: HOME, to: AWAY, token: 4 };

test('route53: a move waits until every server of Route 53 has it, and one that never gets there is not known', async () => {
  await (await newZone()).put(record(OLD));
  const strict = aws.fate;
  let pending = 1;
  aws.fate = (asked) =>
    asked.action === 'GetChange' && pending-- > 0
      ? { rewrite: (text) => text.replace('INSYNC', 'PENDING') }
      : strict(asked);
  await using session = open();
  await session.move(moved);
  assert.equal(aws.asked.filter(({ action }) => action === 'GetChange').length, 2);
  pending = 1_000_000;
  await using hasty = open({ syncWithin: '1s' });
  await assert.rejects(hasty.move({ from: AWAY, to: HOME, token: 4 }), typeOf('OutcomeUnknown'));
  assert.deepEqual((await hasty.where()).traffic, HOME);
});

test('route53: of two runs at one moment the batch of the older fails whole', async () => {
  const made = await newZone();
  await made.put(record(OLD));
  await using late = open();
  await using newer = open();
  const strict = aws.fate;
  aws.fate = async (asked) => {
    if (asked.action !== 'ChangeResourceRecordSets') return strict(asked);
    aws.fate = strict;
    // It has looked and is about to write: the other one moves under its feet, and even leaves the record as it was.
    await newer.move({ from: HOME, to: HOME, token: 6 });
    return strict(asked);
  };
  await assert.rejects(late.move(moved), typeOf('Precondition'));
  assert.deepEqual(await late.where(), { traffic: HOME, token: 6 });
  assert.deepEqual((await made.sets(recordOf(), 'A'))[0]?.ResourceRecords, [{ Value: OLD }]);
});

test('route53: a refusal is told by what it means, with the right that is missing', async () => {
  await (await newZone()).put(record(OLD));
  await using session = open();
  const strict = aws.fate;
  for (const [code, status, type] of [
    ['Throttling', 400, 'Busy'],
    ['PriorRequestNotComplete', 400, 'Busy'],
    ['AccessDenied', 403, 'Denied'],
    ['ServiceUnavailable', 503, 'Busy'],
    ['InternalFailure', 500, 'OutcomeUnknown'],
  ] as const) {
    aws.fate = (asked) => (asked.action === 'ChangeResourceRecordSets' ? refusal(asked, code, status) : strict(asked));
    await assert.rejects(session.move(moved), (error: unknown) => {
      assert.equal(failureTypeOf(error), type, code);
      assert.match(failureFacts(error).hint ?? '', type === 'Denied' ? /allow route53:ChangeResourceRecordSets/ : /./);
      return true;
    });
  }
  aws.fate = strict;
  await using elsewhere = open({ zone: 'ZNOSUCHZONE' });
  await assert.rejects(elsewhere.where(), typeOf('NotFound'));
  await using absent = open({ record: `other.${zone.name}` });
  await assert.rejects(absent.where(), typeOf('NotFound'));
});

test('route53: what nobody shall have goes to a record that leads nowhere, for weights that are all 0 stop nobody', async () => {
  const made = await newZone();
  await made.put(record(OLD, { SetIdentifier: 'one', Weight: 10 }), record(NEW, { SetIdentifier: 'two', Weight: 20 }));
  await using session = open({ policy: 'weighted' });
  const found = (await session.where()).traffic;
  assert.deepEqual(found, { '10.0.0.7:5432': 33, '10.0.0.9:5432': 67 });
  const weights = async (): Promise<Record<string, number | undefined>> =>
    Object.fromEntries((await made.sets(recordOf(), 'A')).map((set) => [set.ResourceRecords?.[0]?.Value, set.Weight]));
  await session.move({ from: found, to: STOPPED, token: 2 });
  assert.deepEqual(await weights(), { [OLD]: 0, [NEW]: 0, '192.0.2.1': 100 });
  await session.move({ from: STOPPED, to: { '10.0.0.9:5432': 10 }, token: 2 });
  assert.deepEqual(await weights(), { [OLD]: 0, [NEW]: 10, '192.0.2.1': 90 });
  await session.move({ from: { '10.0.0.9:5432': 10 }, to: found, token: 3 });
  assert.deepEqual(await weights(), { [OLD]: 33, [NEW]: 67, '192.0.2.1': 0 });
});

test('route53: an alias is moved with its zone, and confirmed by what it stands for', async () => {
  const made = await newZone();
  const sites = Object.fromEntries(
    ['dc1', 'dc2'].map((site) => [site, { alias: { name: `${site}.lb.${made.name}`, zone: made.id } }]),
  );
  const target = (site: string): string => `${site}.lb.${made.name}`;
  await made.put(record(OLD, { Name: target('dc1') }), record(NEW, { Name: target('dc2') }), {
    ...{ Name: recordOf(), Type: 'A' as const },
    AliasTarget: { HostedZoneId: made.id, DNSName: target('dc1'), EvaluateTargetHealth: false },
  });
  await using session = open({ sites });
  assert.deepEqual(await session.where(), { traffic: { dc1: 100 }, token: 0 });
  await session.move({ from: { dc1: 100 }, to: { dc2: 100 }, token: 2 });
  assert.deepEqual(await session.where(), { traffic: { dc2: 100 }, token: 2 });
  assert.equal((await session.confirm({ dc2: 100 })).ok, true);
  assert.equal((await session.confirm({ dc1: 100 })).ok, false);
});

test('route53: it is confirmed when every resolver says so; one that keeps the old answer is named', async () => {
  await (await newZone()).put(record(OLD));
  await using old = await startDnsResponder(() => Promise.resolve([{ type: 'A', ttl: 41, value: OLD }]));
  await using session = open({ resolvers: [resolver.address, old.address] });
  await session.move(moved);
  const { ok, found, have } = await session.confirm(AWAY);
  assert.deepEqual([ok, have], [false, [resolver.address]]);
  assert.match(found, new RegExp(`1 of 2 resolvers have it; ${old.address}: 10.0.0.7, for 41 s more`));
});

test('route53: a resolver that is silent keeps nobody from moving, as long as half of them answer', async () => {
  await (await newZone()).put(record(OLD));
  const silent = `127.0.0.1:${await freePort()}`;
  await using session = open({ resolvers: [resolver.address, silent] });
  await session.move(moved);
  const { ok, found } = await session.confirm(AWAY);
  assert.equal(ok, true, found);
  assert.match(found, new RegExp(`by 1 of 2 resolvers; ${silent}: ECONNREFUSED`));
  await using alone = open({ resolvers: [silent] });
  assert.equal((await alone.confirm(AWAY)).ok, false);
});

test('route53: TXT records of somebody else under the name of the token are refused, and stay', async () => {
  const made = await newZone();
  await made.put(record(OLD));
  await made.put({ Name: recordOf(), Type: 'TXT', TTL: 60, ResourceRecords: [{ Value: '"v=spf1 -all"' }] });
  await using session = open({ tokenRecord: recordOf() });
  await assert.rejects(session.where(), typeOf('ConfigInvalid'));
  await assert.rejects(session.move(moved), typeOf('ConfigInvalid'));
  assert.deepEqual(applied, []);
});

test('route53: doctor tells a TTL that keeps clients back, a record of another zone, and where the control plane is', async () => {
  await (await newZone()).put(record(OLD, { TTL: 3600 }));
  await using session = open();
  const checks = new Map((await session.check?.())?.map((check) => [check.name, check]));
  assert.deepEqual(checks.get('TTL'), {
    ...{ name: 'TTL', ok: false, found: '3600 s, 60 s wanted' },
    hint: 'lower it now: clients keep an old answer that long after a move',
  });
  assert.equal(checks.get('zone')?.ok, true);
  assert.match(checks.get('control plane')?.found ?? '', /us-east-1/);
});

test('route53: what the record cannot say is refused before anything is touched', async () => {
  const made = await newZone();
  await made.put(record(OLD));
  await using simple = open();
  const half = { '10.0.0.9:5432': 50 };
  await assert.rejects(simple.move({ ...moved, to: half }), typeOf('ConfigInvalid'));
  await using sites = open({ sites: SITES });
  await assert.rejects(sites.move({ from: { dc1: 100 }, to: { dc3: 100 }, token: 1 }), typeOf('ConfigInvalid'));
  await using weighted = open({ policy: 'weighted' });
  await assert.rejects(weighted.where(), typeOf('Precondition'));
  await made.put(record('10.9.9.9'));
  await assert.rejects(sites.where(), typeOf('Precondition'));
  assert.deepEqual(applied, []);
});
