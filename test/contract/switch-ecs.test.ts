import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { Asked, Aws, Fate } from '../support/aws.ts';
import { awsOptions, CREDENTIALS, failOnce, refusal, startAws } from '../support/aws.ts';
import { switchContract } from '../support/switch-contract.ts';

const REGIONS = { dc1: 'eu-west-1', dc2: 'eu-central-1' } as const;
type SiteName = keyof typeof REGIONS;

let aws: Aws;
let service = '';
let services = 0;
let scaled: string[] = [];

before(async () => {
  aws = await startAws();
  for (const region of Object.values(REGIONS)) {
    const owner = ownerOf(region);
    await owner.send(new CreateClusterCommand({ clusterName: 'shop' }));
    const containerDefinitions = [{ name: 'web', image: 'web:1', memory: 64 }];
    await owner.send(new RegisterTaskDefinitionCommand({ family: 'web', containerDefinitions }));
  }
});

after(() => aws[Symbol.asyncDispose]());

function ownerOf(region: string): ECSClient {
  return new ECSClient({ endpoint: aws.direct, region, credentials: CREDENTIALS });
}

/** A service of that name in every region, with so many tasks wanted. */
async function newServices(tasks: Record<SiteName, number>): Promise<void> {
  service = `web-${(services += 1)}`;
  scaled = [];
  aws.fate = noted;
  for (const [site, region] of Object.entries(REGIONS) as [SiteName, string][]) {
    const order = { cluster: 'shop', serviceName: service, taskDefinition: 'web', desiredCount: tasks[site] };
    await ownerOf(region).send(new CreateServiceCommand(order));
  }
}

function noted({ action, body, region }: Asked): undefined {
  if (action === 'UpdateService')
    scaled.push(`${region} ${(JSON.parse(body) as { desiredCount: number }).desiredCount}`);
}

async function wantedIn(site: SiteName): Promise<number | undefined> {
  const query = new DescribeServicesCommand({ cluster: 'shop', services: [service] });
  return (await ownerOf(REGIONS[site]).send(query)).services?.[0]?.desiredCount;
}

const siteOf = (name: SiteName, more: object = {}): object => ({
  ...{ region: REGIONS[name], cluster: 'shop', service, desired: 4 },
  ...more,
});

function open(options: object = {}, signal?: AbortSignal): SwitchSession {
  const sites = { dc1: siteOf('dc1'), dc2: siteOf('dc2') };
  return findSwitch('ecs').open(
    'compute',
    { sites, ...awsOptions(aws.endpoint), ...options },
    plainRun(signal ? { signal } : {}),
  );
}

switchContract('ecs', async () => {
  await newServices({ dc1: 0, dc2: 2 });
  return {
    ...{ home: { dc2: 50 }, away: { dc2: 100 } },
    open: ({ signal, timeout } = {}) => open(timeout === undefined ? {} : { timeout }, signal),
    fail: (fault) => Promise.resolve(failOnce(aws, 'UpdateService', fault)),
    changes: () => Promise.resolve(scaled),
  };
});

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;
const HOME = { dc1: 100 };
const BOTH = { dc1: 100, dc2: 100 };

test('ecs: the new site comes up in one move, and the old one goes down in another', async () => {
  await newServices({ dc1: 6, dc2: 0 });
  await using session = open();
  assert.deepEqual(await session.where(), { traffic: HOME, token: 0 });
  await assert.rejects(session.move({ from: HOME, to: { dc2: 100 }, token: 2 }), typeOf('Precondition'));
  assert.deepEqual(scaled, []);
  await session.move({ from: HOME, to: BOTH, token: 2 });
  assert.deepEqual(await session.where(), { traffic: BOTH, token: 2 });
  // What has more than it shall have is left alone.
  assert.deepEqual([await wantedIn('dc1'), await wantedIn('dc2')], [6, 4]);
  await session.move({ from: BOTH, to: { dc2: 100 }, token: 3 });
  assert.deepEqual([await wantedIn('dc1'), await wantedIn('dc2')], [0, 4]);
  assert.deepEqual(scaled, ['eu-central-1 4', 'eu-west-1 0']);
});

test('ecs: a site that waits keeps its standby tasks', async () => {
  await newServices({ dc1: 4, dc2: 1 });
  await using session = open({ sites: { dc1: siteOf('dc1'), dc2: siteOf('dc2', { standby: 1 }) } });
  assert.deepEqual((await session.where()).traffic, HOME);
  await session.move({ from: HOME, to: BOTH, token: 2 });
  await session.move({ from: BOTH, to: HOME, token: 2 });
  assert.equal(await wantedIn('dc2'), 1);
});

interface World {
  running: number;
  unhealthy?: number;
  pending?: number;
  rollout?: string;
  reason?: string;
  event?: string;
}

/** A service as it is on its way, which the simulator does not know: it is where it shall be at once. */
function told(world: World): (asked: Asked) => Fate | undefined {
  const { running, unhealthy = 0, pending = 0, rollout, reason, event } = world;
  const arns = Array.from({ length: running }, (_, at) => `arn:aws:ecs:eu-central-1:123456789012:task/shop/${at}`);
  return ({ action }) => {
    if (action === 'ListTasks') return { status: 200, body: JSON.stringify({ taskArns: arns }) };
    if (action === 'DescribeTasks') {
      const tasks = arns.map((taskArn, at) => ({
        ...{ taskArn, lastStatus: 'RUNNING', healthStatus: at < unhealthy ? 'UNHEALTHY' : 'HEALTHY' },
      }));
      return { status: 200, body: JSON.stringify({ tasks }) };
    }
    if (action !== 'DescribeServices') return undefined;
    const rewrite = (text: string): string => {
      const answer = JSON.parse(text) as { services: Record<string, unknown>[] };
      Object.assign(answer.services[0] ?? {}, {
        ...{
          runningCount: running,
          pendingCount: pending,
          events: event === undefined ? [] : [{ id: '1', message: event }],
        },
        deployments: [{ status: 'PRIMARY', rolloutState: rollout, rolloutStateReason: reason }],
      });
      return JSON.stringify(answer);
    };
    return { rewrite };
  };
}

test('ecs: up is what runs and is healthy, as much as the policy wants', async (t) => {
  await newServices({ dc1: 0, dc2: 4 });
  const AWAY = { dc2: 100 };
  const rows: [string, World, object, boolean, RegExp][] = [
    ['all run and are healthy', { running: 4, rollout: 'COMPLETED' }, {}, true, /4 of 4 running and healthy/],
    [
      'none is placed',
      { running: 0, pending: 4, event: 'unable to place a task' },
      {},
      false,
      /0 of 4 .*4 pending.*unable to place/,
    ],
    ['some are unhealthy', { running: 4, unhealthy: 1, rollout: 'COMPLETED' }, {}, false, /3 of 4 .*1 unhealthy/],
    ['its deployment goes on', { running: 4, rollout: 'IN_PROGRESS' }, {}, false, /deployment IN_PROGRESS/],
    [
      'enough for the policy',
      { running: 3, pending: 1, rollout: 'IN_PROGRESS' },
      { minimum: 3 },
      true,
      /3 of 4 .*3 are enough/,
    ],
    ['too few for the policy', { running: 3, unhealthy: 1 }, { minimum: 3 }, false, /2 of 4/],
  ];
  for (const [name, world, policy, ok, found] of rows) {
    await t.test(name, async () => {
      await using session = open({ sites: { dc2: siteOf('dc2', policy) } });
      aws.fate = told(world);
      const said = await session.confirm(AWAY);
      assert.equal(said.ok, ok, said.found);
      assert.match(said.found, found);
    });
  }
  await using session = open({ sites: { dc2: siteOf('dc2') } });
  aws.fate = told({ running: 1, rollout: 'FAILED', reason: 'tasks failed to start' });
  await assert.rejects(session.confirm(AWAY), (error: unknown) => {
    assert.equal(failureTypeOf(error), 'Precondition');
    assert.match(failureFacts(error).found ?? '', /tasks failed to start/);
    return true;
  });
  // Of a switch that is to be left, that is a warning.
  const checks = (await session.check?.()) ?? [];
  assert.deepEqual(
    checks.map(({ ok, hint }) => [ok, hint !== undefined]),
    [[true, true]],
  );
});

test('ecs: a region that is away stops a switch of both sites, and not one of the other site alone', async () => {
  await newServices({ dc1: 4, dc2: 0 });
  await using both = open();
  await using one = open({ sites: { dc2: siteOf('dc2') } });
  const warned = ((await both.check?.()) ?? []).find(({ name }) => name === 'regions');
  assert.match(warned?.hint ?? '', /a switch of kind ecs for each site/);
  aws.fate = ({ region }) => (region === REGIONS.dc1 ? 'reset' : undefined);
  await assert.rejects(both.where(), typeOf('Unavailable'));
  await one.move({ from: STOPPED, to: { dc2: 100 }, token: 2 });
  assert.equal(await wantedIn('dc2'), 4);
});

test('ecs: a worker that dies between the number and the tasks is followed by one that goes on', async () => {
  await newServices({ dc1: 0, dc2: 0 });
  await using session = open();
  aws.fate = (asked) => (asked.action === 'UpdateService' ? 'reset' : undefined);
  await assert.rejects(session.move({ from: STOPPED, to: { dc2: 100 }, token: 4 }), typeOf('OutcomeUnknown'));
  aws.fate = noted;
  assert.deepEqual(await session.where(), { traffic: STOPPED, token: 4 });
  await assert.rejects(session.move({ from: STOPPED, to: { dc2: 100 }, token: 3 }), typeOf('Precondition'));
  await session.move({ from: STOPPED, to: { dc2: 100 }, token: 4 });
  assert.deepEqual(scaled, ['eu-central-1 4']);
});

test('ecs: a refusal is told by what it means, with the right that is missing', async () => {
  await newServices({ dc1: 4, dc2: 0 });
  await using session = open();
  for (const [at, [action, code, type]] of (
    [
      ['UpdateService', 'AccessDeniedException', 'Denied'],
      ['TagResource', 'AccessDeniedException', 'Denied'],
      ['UpdateService', 'ThrottlingException', 'Busy'],
      ['UpdateService', 'ServiceNotActiveException', 'Precondition'],
      ['DescribeServices', 'ClusterNotFoundException', 'NotFound'],
    ] as const
  ).entries()) {
    aws.fate = (asked) => (asked.action === action ? refusal(asked, code) : undefined);
    await assert.rejects(session.move({ from: HOME, to: BOTH, token: 10 + at }), (error: unknown) => {
      assert.equal(failureTypeOf(error), type, code);
      assert.match(failureFacts(error).hint ?? '', type === 'Denied' ? new RegExp(`allow ecs:${action} to`) : /./);
      return true;
    });
  }
  aws.fate = () => undefined;
  await using absent = open({ sites: { dc2: { ...siteOf('dc2'), service: 'none' } } });
  await assert.rejects(absent.where(), typeOf('NotFound'));
  await assert.rejects(session.move({ from: HOME, to: { dc1: 100, dc2: 33 }, token: 9 }), typeOf('ConfigInvalid'));
});
