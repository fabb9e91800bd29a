import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { FakeKubernetes } from '../support/kubernetes.ts';
import { startFakeKubernetes } from '../support/kubernetes.ts';
import type { SwitchPlace } from '../support/switch-contract.ts';
import { switchContract } from '../support/switch-contract.ts';
import { withTempDir } from '../support/temp-dir.ts';

let kube: FakeKubernetes;

before(async () => {
  kube = await startFakeKubernetes();
});

after(() => kube[Symbol.asyncDispose]());

const APPS = '/apis/apps/v1/namespaces/shop';
const CORE = '/api/v1/namespaces/shop';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices';

function open(options: object, signal?: AbortSignal): SwitchSession {
  return findSwitch('kubernetes').open('pods', options, plainRun(signal ? { signal } : {}));
}

/** A cluster without anything in it, but what is given. */
async function fresh(dir: string, objects: Record<string, object>): Promise<string> {
  kube.objects.clear();
  kube.denied.clear();
  kube.changes.length = 0;
  kube.fault = undefined;
  kube.beforeWrite = () => {};
  for (const [path, object] of Object.entries(objects)) kube.put(path, { ...object });
  return kube.kubeconfig(dir);
}

function placeOf(options: object, sides: Pick<SwitchPlace, 'home' | 'away'>): SwitchPlace {
  return {
    ...sides,
    open: ({ signal, timeout } = {}) => open({ ...options, ...(timeout === undefined ? {} : { timeout }) }, signal),
    fail: (fault) => {
      kube.fault = fault;
      return Promise.resolve();
    },
    changes: () => Promise.resolve(kube.changes.map(({ body }) => JSON.stringify(body))),
  };
}

const deployment = (replicas: number, status: object = {}): object => ({
  ...{ metadata: { generation: 1 }, spec: { replicas } },
  status: { observedGeneration: 1, replicas: 0, readyReplicas: 0, ...status },
});

const SCALED = { dc1: { deployment: 'web-1', replicas: 4 }, dc2: { statefulSet: 'web-2', replicas: 4 } };

switchContract(
  'kubernetes',
  async (dir) => {
    const objects = { [`${APPS}/deployments/web-1`]: deployment(0), [`${APPS}/statefulsets/web-2`]: deployment(2) };
    const kubeconfig = await fresh(dir, objects);
    return placeOf({ way: 'scale', sites: SCALED, kubeconfig }, { home: { dc2: 50 }, away: { dc2: 100 } });
  },
  'scale',
);

const SELECTED = { dc1: { labels: { app: 'db', site: 'dc1' } }, dc2: { labels: { app: 'db', site: 'dc2' } } };
const SERVICE = { [`${CORE}/services/db`]: { spec: { selector: { app: 'db', site: 'dc1' } } } };

switchContract(
  'kubernetes',
  async (dir) => {
    const kubeconfig = await fresh(dir, SERVICE);
    const options = { way: 'selector', service: 'db', sites: SELECTED, kubeconfig };
    return placeOf(options, { home: { dc1: 100 }, away: { dc2: 100 } });
  },
  'selector',
);

switchContract(
  'kubernetes',
  async (dir) => {
    const slice = { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.7'] }] };
    const kubeconfig = await fresh(dir, { [`${SLICES}/db-1`]: slice });
    const options = { way: 'endpoints', endpointSlice: 'db-1', port: 5432, kubeconfig };
    return placeOf(options, { home: { '10.0.0.7:5432': 100 }, away: { '10.0.0.9:5432': 100 } });
  },
  'endpoints',
);

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;
const HOME = { dc1: 100 };
const AWAY = { dc2: 100 };

test('kubernetes: a Service leads to the pods of the new site, and to no others', () =>
  withTempDir(async (dir) => {
    const kubeconfig = await fresh(dir, {
      ...SERVICE,
      [`${CORE}/pods/db-a`]: { metadata: { name: 'db-a', labels: SELECTED.dc1.labels } },
      [`${CORE}/pods/db-b`]: { metadata: { name: 'db-b', labels: SELECTED.dc2.labels } },
    });
    const endpoints = (...pods: string[]): void =>
      kube.put(`${SLICES}/db-x`, {
        metadata: { labels: { 'kubernetes.io/service-name': 'db' } },
        endpoints: pods.map((name) => ({ addresses: ['10.1.0.1'], conditions: { ready: true }, targetRef: { name } })),
      });
    await using session = open({ way: 'selector', service: 'db', sites: SELECTED, kubeconfig });
    await session.move({ from: HOME, to: AWAY, token: 2 });
    assert.deepEqual(kube.objects.get(`${CORE}/services/db`)?.['spec'], { selector: SELECTED.dc2.labels });
    for (const [pods, ok] of [
      [[], false],
      [['db-a'], false],
      [['db-a', 'db-b'], false],
      [['db-b'], true],
    ] as const) {
      endpoints(...pods);
      assert.equal((await session.confirm(AWAY)).ok, ok, pods.join());
    }
    await session.move({ from: AWAY, to: STOPPED, token: 2 });
    assert.equal((await session.confirm(STOPPED)).ok, false);
    endpoints();
    assert.equal((await session.confirm(STOPPED)).ok, true);
  }));

test('kubernetes: up is what is ready, as much as the policy wants; a rollout that failed does not heal', async (t) => {
  const path = `${APPS}/deployments/web-1`;
  const late = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'image not found' };
  const rows: [string, object, object, boolean | string, RegExp][] = [
    ['all are ready', { replicas: 4, readyReplicas: 4 }, {}, true, /4 of 4 ready/],
    ['some are not', { replicas: 4, readyReplicas: 3 }, {}, false, /3 of 4 ready/],
    ['enough for the policy', { replicas: 4, readyReplicas: 3 }, { minimum: 3 }, true, /3 of 4 ready \(3 are enough/],
    ['the controller has not seen it', { observedGeneration: 0, readyReplicas: 4 }, {}, false, /4 of 4/],
    ['given up', { readyReplicas: 1, conditions: [late] }, {}, 'Precondition', /image not found/],
  ];
  for (const [name, status, policy, wanted, found] of rows) {
    await t.test(name, () =>
      withTempDir(async (dir) => {
        const kubeconfig = await fresh(dir, { [path]: deployment(4, status) });
        await using session = open({ way: 'scale', kubeconfig, sites: { dc1: { ...SCALED.dc1, ...policy } } });
        if (typeof wanted === 'boolean') {
          const said = await session.confirm(HOME);
          assert.equal(said.ok, wanted);
          assert.match(said.found, found);
        } else {
          await assert.rejects(session.confirm(HOME), (error: unknown) => {
            assert.match(failureFacts(error).found ?? '', found);
            return failureTypeOf(error) === wanted;
          });
        }
      }),
    );
  }
});

test('kubernetes: what is changed under its feet is not written over', () =>
  withTempDir(async (dir) => {
    const path = `${CORE}/services/db`;
    const kubeconfig = await fresh(dir, SERVICE);
    await using session = open({ way: 'selector', service: 'db', sites: SELECTED, kubeconfig });
    kube.beforeWrite = () => {
      kube.beforeWrite = () => {};
      kube.put(path, { ...kube.objects.get(path), metadata: { annotations: { 'lifeboat/token': '8' } } });
    };
    await assert.rejects(session.move({ from: HOME, to: AWAY, token: 6 }), typeOf('Busy'));
    await assert.rejects(session.move({ from: HOME, to: AWAY, token: 6 }), typeOf('Precondition'));
    assert.deepEqual(kube.changes, []);
  }));

test('kubernetes: doctor and a move tell the right that is missing', () =>
  withTempDir(async (dir) => {
    const kubeconfig = await fresh(dir, SERVICE);
    await using session = open({ way: 'selector', service: 'db', sites: SELECTED, kubeconfig });
    assert.deepEqual(
      (await session.check?.())?.map(({ ok }) => ok),
      [true],
    );
    kube.denied.add('patch services');
    const [check] = (await session.check?.()) ?? [];
    assert.equal(check?.ok, false);
    assert.match(check?.hint ?? '', /allow patch services in namespace shop/);
    await assert.rejects(session.move({ from: HOME, to: AWAY, token: 2 }), (error: unknown) => {
      assert.match(failureFacts(error).hint ?? '', /allow patch services to/);
      return failureTypeOf(error) === 'Denied';
    });
  }));

test('kubernetes: a kubeconfig is read as kubectl does, and what is wrong with it is told', () =>
  withTempDir(async (dir) => {
    const kubeconfig = await fresh(dir, SERVICE);
    const switchOf = (more: object): SwitchSession =>
      open({ way: 'selector', service: 'db', sites: SELECTED, kubeconfig, ...more });
    await using absent = switchOf({ service: 'none' });
    await assert.rejects(absent.where(), typeOf('NotFound'));
    await using elsewhere = switchOf({ context: 'there' });
    await assert.rejects(elsewhere.where(), (error: unknown) => {
      assert.deepEqual(
        [failureFacts(error).expected, failureFacts(error).found],
        ['context "there" under contexts', 'here'],
      );
      return failureTypeOf(error) === 'ConfigInvalid';
    });
    await using nowhere = switchOf({ kubeconfig: join(dir, 'none') });
    await assert.rejects(nowhere.where(), typeOf('NotFound'));
    const plugin = join(dir, 'plugin');
    const user = { exec: { command: 'aws' } };
    const config = { 'current-context': 'x', contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }] };
    await writeFile(
      plugin,
      JSON.stringify({
        ...config,
        clusters: [{ name: 'x', cluster: { server: 'https://x' } }],
        users: [{ name: 'x', user }],
      }),
    );
    await using exec = switchOf({ kubeconfig: plugin });
    await assert.rejects(exec.where(), typeOf('Unsupported'));
    await using simple = switchOf({});
    await assert.rejects(simple.move({ from: HOME, to: { dc3: 100 }, token: 1 }), typeOf('ConfigInvalid'));
  }));

test('kubernetes: what a kubeconfig that cannot be read says is not repeated', () =>
  withTempDir(async (dir) => {
    const kubeconfig = join(dir, 'broken');
    await writeFile(kubeconfig, 'users: [{ name: a, user: { token: hush-hush, token: hush-hush } }]\n');
    await using session = open({ way: 'scale', sites: SCALED, kubeconfig });
    await assert.rejects(session.where(), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'ConfigInvalid');
      assert.doesNotMatch(inspect(error, { depth: 9 }), /hush-hush/);
      return true;
    });
  }));
