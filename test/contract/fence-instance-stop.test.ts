import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DescribeInstancesCommand, EC2Client, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { fence } from '../../activities/cluster/fence.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { clusterSchema } from '../../activities/config/cluster-schema.ts';
import type { ClusterConfig } from '../../activities/config/index.ts';
import type { Clock } from '../../activities/io/clock.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { FenceResult } from '../../workflows/model/failover-verdict.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { Aws, Fate } from '../support/aws.ts';
import { awsOptions, CREDENTIALS, failOnce, refusal, startAws } from '../support/aws.ts';

const REGION = 'eu-west-1';
let aws: Aws;

before(async () => {
  aws = await startAws();
});

after(() => aws[Symbol.asyncDispose]());

const owner = (): EC2Client => new EC2Client({ endpoint: aws.direct, region: REGION, credentials: CREDENTIALS });

/** Time goes by as it is waited for, and nobody waits. */
function skippingClock(): Clock {
  let nowMs = Date.now();
  return {
    nowMs: () => nowMs,
    sleep: (ms, signal) => {
      signal?.throwIfAborted();
      nowMs += ms;
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** An instance that runs. */
async function newInstance(): Promise<string> {
  aws.fate = () => undefined;
  aws.asked.length = 0;
  const order = new RunInstancesCommand({ ImageId: 'ami-12c6146b', MinCount: 1, MaxCount: 1 });
  const { Instances = [] } = await owner().send(order);
  return Instances[0]?.InstanceId ?? '';
}

async function stateOf(id: string): Promise<string | undefined> {
  const { Reservations = [] } = await owner().send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations[0]?.Instances?.[0]?.State?.Name;
}

function useOf(id: string, step: object = {}): NodeUse {
  const node = (name: string, own: object): object => ({
    ...{ site: name, host: name, dataDir: `/srv/${name}`, address: `${name}.example`, ...own },
  });
  const cluster = clusterSchema.parse({
    nodes: { 'db-a': node('east', { instance: { region: REGION, id } }), 'db-b': node('west', {}) },
    ...{ connection: { user: 'postgres', database: 'postgres' }, replication: { user: 'postgres' } },
    fence: [{ by: 'instance-stop', within: '20s', timeout: '2s', ...awsOptions(aws.endpoint), ...step }],
  }) as unknown as ClusterConfig;
  const own = cluster.nodes['db-a'];
  assert.ok(own);
  const run = plainRun({ clock: skippingClock() });
  return { service: 'web', name: 'db-a', node: own, cluster, host: 'witness', run };
}

function stop(use: NodeUse): Promise<FenceResult> {
  return fence(use, { epoch: 7, run: 'r', step: { by: 'instance-stop' } });
}

const stops = (): number => aws.asked.filter(({ action }) => action === 'StopInstances').length;

test('it is confirmed when EC2 says that it is stopped; a repeat only looks', async () => {
  const id = await newInstance();
  const first = await stop(useOf(id));
  assert.deepEqual([first.outcome, first.step], ['confirmed', 'its instance stopped']);
  assert.match(first.found, new RegExp(`instance ${id} in ${REGION} is stopped`));
  assert.deepEqual([await stateOf(id), stops()], ['stopped', 1]);
  assert.match(aws.asked.find(({ action }) => action === 'StopInstances')?.body ?? '', /Force=true/);
  assert.deepEqual([(await stop(useOf(id))).outcome, stops()], ['confirmed', 1]);
});

for (const fault of ['lost', 'hang', 'garbage', 'busy'] as const) {
  test(`an answer that is ${fault}: it is looked at, and ends confirmed`, async () => {
    for (const action of ['StopInstances', 'DescribeInstances']) {
      const id = await newInstance();
      failOnce(aws, action, fault);
      assert.deepEqual(
        [(await stop(useOf(id, { timeout: '500ms' }))).outcome, await stateOf(id)],
        ['confirmed', 'stopped'],
      );
    }
  });
}

test('one that goes on stopping is unconfirmed, and asked once', async () => {
  const id = await newInstance();
  const stuck = (text: string): string => text.replace(/<name>stopped<\/name>/, '<name>stopping</name>');
  aws.fate = ({ action }): Fate | undefined => (action === 'DescribeInstances' ? { rewrite: stuck } : undefined);
  const { outcome, found } = await stop(useOf(id, { within: '5s' }));
  assert.equal(outcome, 'unconfirmed');
  assert.match(found, /is stopping after 5s/);
  assert.equal(stops(), 1);
});

test('silence is unconfirmed, and never ends the ladder', async () => {
  const id = await newInstance();
  aws.fate = () => 'reset';
  const { outcome, found } = await stop(useOf(id, { within: '3s' }));
  assert.equal(outcome, 'unconfirmed');
  assert.match(found, /is unknown \(.*no answer to ec2:DescribeInstances/);
});

test('what no time makes better is thrown: a right that is missing is named, and an instance that is not there', async () => {
  const id = await newInstance();
  aws.fate = (asked) => (asked.action === 'StopInstances' ? refusal(asked, 'UnauthorizedOperation', 403) : undefined);
  const denied: unknown = await stop(useOf(id)).catch((error: unknown) => error);
  assert.equal(failureTypeOf(denied), 'Denied');
  assert.equal(failureFacts(denied).hint, 'allow ec2:StopInstances to this identity');
  assert.equal(await stateOf(id), 'running');
  aws.fate = () => undefined;
  const absent: unknown = await stop(useOf('i-0123456789abcdef0')).catch((error: unknown) => error);
  assert.equal(failureTypeOf(absent), 'NotFound');
});
