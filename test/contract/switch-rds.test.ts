import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CreateDBClusterCommand,
  CreateDBInstanceCommand,
  CreateDBInstanceReadReplicaCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { Asked, Aws, Fate } from '../support/aws.ts';
import { awsOptions, CREDENTIALS, failOnce, refusal, startAws } from '../support/aws.ts';
import { switchContract } from '../support/switch-contract.ts';

const REGION = 'eu-west-1';
const SITES = ['dc1', 'dc2', 'dc3'] as const;
const HOME = { dc1: 100 };
const AWAY = { dc2: 100 };

let aws: Aws;
let owner: RDSClient;
let names = 0;
let ordered: string[] = [];

before(async () => {
  aws = await startAws();
  owner = new RDSClient({ endpoint: aws.direct, region: REGION, credentials: CREDENTIALS });
});

after(async () => {
  owner.destroy();
  await aws[Symbol.asyncDispose]();
});

const ORDERS = ['FailoverDBCluster', 'PromoteReadReplica', 'SwitchoverGlobalCluster', 'FailoverGlobalCluster'];

function noted(asked: Asked): undefined {
  if (ORDERS.includes(asked.action)) ordered.push(asked.action);
}

const instanceOf = (name: string, site: string): string => `${name}-${site}`;
const sitesOf = (name: string): object =>
  Object.fromEntries(SITES.map((site) => [site, { instance: instanceOf(name, site) }]));

function open(options: object, signal?: AbortSignal): SwitchSession {
  const own = { region: REGION, ...awsOptions(aws.endpoint) };
  return findSwitch('rds').open('db', { ...own, ...options }, plainRun(signal ? { signal } : {}));
}

async function newCluster(): Promise<object> {
  const cluster = `shop-${(names += 1)}`;
  ordered = [];
  aws.fate = noted;
  const engine = { Engine: 'aurora-postgresql' };
  const login = { MasterUsername: 'admin1', MasterUserPassword: 'of a test 1' };
  await owner.send(new CreateDBClusterCommand({ DBClusterIdentifier: cluster, ...engine, ...login }));
  for (const site of SITES) {
    const order = { DBInstanceIdentifier: instanceOf(cluster, site), DBInstanceClass: 'db.r6g.large', ...engine };
    await owner.send(new CreateDBInstanceCommand({ ...order, DBClusterIdentifier: cluster }));
  }
  return { way: 'aurora', cluster, sites: sitesOf(cluster) };
}

switchContract(
  'rds',
  async () => {
    const options = await newCluster();
    return {
      ...{ home: HOME, away: AWAY, third: { dc3: 100 } },
      open: ({ signal, timeout } = {}) => open({ ...options, ...(timeout === undefined ? {} : { timeout }) }, signal),
      fail: (fault) => Promise.resolve(failOnce(aws, 'FailoverDBCluster', fault)),
      changes: () => Promise.resolve(ordered),
    };
  },
  'aurora',
);

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;
const moved = { from: HOME, to: AWAY, token: 4 };

test('rds: a failover is confirmed when all is available, with what has become of the old writer', async () => {
  await using session = open(await newCluster());
  await session.move(moved);
  const status = (text: string, state: string): string =>
    text.replaceAll('<Status>available</Status>', `<Status>${state}</Status>`);
  aws.fate = ({ action }) =>
    action === 'DescribeDBClusters' ? { rewrite: (text) => status(text, 'failing-over') } : undefined;
  const going = await session.confirm(AWAY);
  assert.equal(going.ok, false);
  assert.match(going.found, /cluster is failing-over/);
  // Nothing is ordered while something is under way.
  await assert.rejects(session.move({ from: AWAY, to: HOME, token: 5 }), typeOf('Busy'));
  aws.fate = noted;
  const done = await session.confirm(AWAY);
  assert.equal(done.ok, true);
  assert.match(done.found, /dc1: reader, available; dc2: writer, available/);
  assert.deepEqual(ordered, ['FailoverDBCluster']);
  await assert.rejects(session.move({ from: AWAY, to: STOPPED, token: 6 }), typeOf('Unsupported'));
});

/** Replicas of dc1; of the simulator's promoted ones the link is taken away, which it leaves. */
async function newReplicas(): Promise<{ options: object; name: string; promoted: Set<string> }> {
  const name = `crm-${(names += 1)}`;
  const promoted = new Set<string>();
  ordered = [];
  const size = { DBInstanceClass: 'db.t4g.small', Engine: 'postgres', AllocatedStorage: 20 };
  const login = { MasterUsername: 'admin1', MasterUserPassword: 'of a test 1' };
  const first = { DBInstanceIdentifier: instanceOf(name, 'dc1') };
  await owner.send(new CreateDBInstanceCommand({ ...first, ...size, ...login }));
  for (const site of ['dc2', 'dc3']) {
    const order = { DBInstanceIdentifier: instanceOf(name, site), SourceDBInstanceIdentifier: instanceOf(name, 'dc1') };
    await owner.send(new CreateDBInstanceReadReplicaCommand(order));
  }
  aws.fate = (asked) => {
    noted(asked);
    const instance = new URLSearchParams(asked.body).get('DBInstanceIdentifier') ?? '';
    if (asked.action === 'PromoteReadReplica') promoted.add(instance);
    if (asked.action !== 'DescribeDBInstances' || !promoted.has(instance)) return undefined;
    const link = /<ReadReplicaSourceDBInstanceIdentifier>[^<]*<\/ReadReplicaSourceDBInstanceIdentifier>/g;
    return { rewrite: (text) => text.replace(link, '') };
  };
  return { options: { way: 'replica', sites: sitesOf(name) }, name, promoted };
}

test('rds: a promoted replica is the writer, the old one is told to be cut off, and there is no way back', async () => {
  const { options } = await newReplicas();
  await using session = open(options);
  assert.deepEqual(await session.where(), { traffic: HOME, token: 0 });
  for (let time = 0; time < 2; time++) await session.move(moved);
  assert.deepEqual(await session.where(), {
    ...{ traffic: AWAY, token: 4 },
    note: 'dc1 is cut off for good, and takes writes of its own while it is up',
  });
  assert.deepEqual(ordered, ['PromoteReadReplica']);
  assert.match((await session.confirm(AWAY)).found, /dc1: writer, available; dc2: writer, available; dc3: replica/);
  await assert.rejects(session.move({ from: AWAY, to: HOME, token: 6 }), (error: unknown) => {
    assert.equal(failureTypeOf(error), 'Precondition');
    assert.match(failureFacts(error).hint ?? '', /create-db-instance-read-replica/);
    return true;
  });
  assert.deepEqual(ordered, ['PromoteReadReplica']);
  assert.match(
    ((await session.check?.()) ?? []).map(({ hint }) => hint).join(),
    /cut off for good.*a promotion is for good/,
  );
});

test('rds: a replica is promoted while the region of its source is away', async () => {
  const { options, name } = await newReplicas();
  await using session = open(options);
  const known = aws.fate;
  aws.fate = (asked) => (asked.body.includes(`=${instanceOf(name, 'dc1')}`) ? 'reset' : known(asked));
  assert.deepEqual(await session.where(), { traffic: HOME, token: 0, note: 'dc1 does not answer' });
  await session.move(moved);
  assert.deepEqual(await session.where(), { traffic: AWAY, token: 4, note: 'dc1 does not answer' });
  aws.fate = () => 'reset';
  await assert.rejects(session.where(), typeOf('Unavailable'));
});

test('rds: a promotion whose reply is lost is looked for, and one that is refused for now is asked for again', async () => {
  const { options } = await newReplicas();
  await using session = open(options);
  const known = aws.fate;
  aws.fate = (asked) =>
    asked.action === 'PromoteReadReplica' ? refusal(asked, 'InvalidDBInstanceState') : known(asked);
  await assert.rejects(session.move(moved), typeOf('Busy'));
  aws.fate = (asked) => (asked.action === 'PromoteReadReplica' ? refusal(asked, 'AccessDenied', 403) : known(asked));
  await assert.rejects(session.move(moved), (error: unknown) => {
    assert.match(failureFacts(error).hint ?? '', /allow rds:PromoteReadReplica to/);
    return failureTypeOf(error) === 'Denied';
  });
  aws.fate = known;
  failOnce(aws, 'PromoteReadReplica', 'lost');
  await assert.rejects(session.move(moved), typeOf('OutcomeUnknown'));
  assert.deepEqual((await session.where()).traffic, AWAY);
  await session.move(moved);
  assert.deepEqual(ordered, ['PromoteReadReplica']);
});

/** A global cluster as the API tells it; the simulator has none that could be moved. */
function globalCluster(arns: Record<string, string>): (asked: Asked) => Fate | undefined {
  let writer = 'dc1';
  let token: string | undefined;
  const result = (action: string, body: string): Fate => ({
    status: 200,
    body: `<${action}Response><${action}Result>${body}</${action}Result></${action}Response>`,
  });
  const cluster = (): string => {
    const members = Object.entries(arns).map(
      ([site, arn]) =>
        `<GlobalClusterMember><DBClusterArn>${arn}</DBClusterArn><IsWriter>${site === writer}</IsWriter><SynchronizationStatus>connected</SynchronizationStatus></GlobalClusterMember>`,
    );
    return `<GlobalClusterIdentifier>world</GlobalClusterIdentifier><GlobalClusterArn>arn:aws:rds::1:global-cluster:world</GlobalClusterArn><Status>available</Status><GlobalClusterMembers>${members.join('')}</GlobalClusterMembers>`;
  };
  return (asked) => {
    noted(asked);
    const given = new URLSearchParams(asked.body);
    const target = Object.entries(arns).find(([, arn]) => arn === given.get('TargetDbClusterIdentifier'));
    switch (asked.action) {
      case 'DescribeGlobalClusters':
        return result(
          asked.action,
          `<GlobalClusters><GlobalClusterMember>${cluster()}</GlobalClusterMember></GlobalClusters>`,
        );
      case 'ListTagsForResource':
        return result(
          asked.action,
          token === undefined
            ? '<TagList/>'
            : `<TagList><Tag><Key>lifeboat-token</Key><Value>${token}</Value></Tag></TagList>`,
        );
      case 'AddTagsToResource':
        token = given.get('Tags.Tag.1.Value') ?? given.get('Tags.member.1.Value') ?? undefined;
        return result(asked.action, '');
      case 'SwitchoverGlobalCluster':
      case 'FailoverGlobalCluster':
        if (asked.region !== target?.[1].split(':')[3]) return refusal(asked, 'InvalidParameterValue');
        writer = target[0];
        return result(asked.action, `<GlobalCluster>${cluster()}</GlobalCluster>`);
      default:
        return undefined;
    }
  };
}

test('rds: a global cluster is switched over, or failed over where loss is allowed, in the region of the new primary', async () => {
  const arns = { dc1: 'arn:aws:rds:eu-west-1:1:cluster:shop', dc2: 'arn:aws:rds:eu-central-1:1:cluster:shop' };
  const sites = Object.fromEntries(Object.entries(arns).map(([site, instance]) => [site, { instance }]));
  for (const [allowDataLoss, action] of [
    [false, 'SwitchoverGlobalCluster'],
    [true, 'FailoverGlobalCluster'],
  ] as const) {
    ordered = [];
    aws.fate = globalCluster(arns);
    await using session = open({ way: 'global', cluster: 'world', sites, allowDataLoss });
    assert.deepEqual(await session.where(), { traffic: HOME, token: 0 });
    for (let time = 0; time < 2; time++) await session.move(moved);
    assert.deepEqual(await session.where(), { traffic: AWAY, token: 4 });
    assert.match((await session.confirm(AWAY)).found, /dc1: secondary connected; dc2: primary/);
    assert.deepEqual(ordered, [action]);
  }
});
