import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleConfig } from '../../activities/config/assemble.ts';
import type { ScheduleDefinition } from '../../client/schedules/definition.ts';
import type { Desired } from '../../client/schedules/desired.ts';
import { desiredSchedules } from '../../client/schedules/desired.ts';
import { difference } from '../../client/schedules/difference.ts';
import { isFailure } from '../../workflows/model/failure.ts';
import { check, GOOD, withChange } from '../support/config-file.ts';

const [wanted] = desiredSchedules(
  assembleConfig(check(`name: mine\n${GOOD}`), {
    TEMPORAL_CONFIG_FILE: '/nonexistent',
  }),
) as [Desired];

const plan = (
  observed: Partial<ScheduleDefinition>[],
  more: { wanted?: Desired[]; adopt?: boolean } = {},
): ReturnType<typeof difference> =>
  difference({
    owner: 'mine',
    wanted: more.wanted ?? [wanted],
    observed: observed.map((change) => ({ ...wanted, ...change })),
    adopt: more.adopt ?? false,
  });

test('schedules: the configuration as a definition', () => {
  assert.equal(wanted.id, 'lifeboat/shop/backup');
  assert.equal(wanted.workflow, 'scheduled');
  assert.deepEqual(wanted.order, { workflow: 'backup', input: { source: 'shop' } });
  assert.equal(wanted.overlap, 'SKIP');
  assert.equal(wanted.catchupWindowMs, 12 * 3_600_000);
  assert.equal(wanted.when.text, '0 2 * * * UTC');
});

test('schedules: a failover drill is ordered by its service', () => {
  const cluster = `cluster:
      nodes:
        db1: { site: east, host: db1, dataDir: /srv/one, address: 10.0.0.1 }
        db2: { site: west, host: db2, dataDir: /srv/two, address: 10.0.0.2 }
      connection: { user: postgres }
      replication: { user: replicator }
      drill: { schedule: { every: 4w, paused: true } }`;
  const services = `switches:\n  lb: { kind: command, run: [/srv/lb] }\nservices:\n  web:\n    source: shop\n    traffic: [lb]\n    ${cluster}\n`;
  const found = desiredSchedules(
    assembleConfig(check(`${GOOD}\n${services}`), { TEMPORAL_CONFIG_FILE: '/nonexistent' }),
  ).find(({ id }) => id === 'lifeboat/web/failover-drill');
  assert.deepEqual(found?.order, { workflow: 'failoverDrill', input: { service: 'web' } });
  assert.deepEqual([found?.when.text, found?.pause, found?.overlap], ['every 4w', 'by configuration', 'SKIP']);
});

test('schedules: each kind of backup has its own, and orders the same workflow', () => {
  const kinds = 'incremental: { cron: "0 3 * * 1-6" }, differential: { every: 12h }';
  const found = desiredSchedules(
    assembleConfig(check(withChange('backup: { cron: "0 2 * * *", timezone: UTC }', kinds)), {
      TEMPORAL_CONFIG_FILE: '/nonexistent',
    }),
  );
  assert.deepEqual(
    found.map(({ id, order }) => [id, order]),
    [
      ['lifeboat/shop/incremental', { workflow: 'backup', input: { source: 'shop', type: 'incremental' } }],
      ['lifeboat/shop/differential', { workflow: 'backup', input: { source: 'shop', type: 'differential' } }],
    ],
  );
});

test('schedules: reading all that is stored, or its WAL', () => {
  const kinds = 'verify: { every: 7d }, walVerify: { every: 1d }';
  const found = desiredSchedules(
    assembleConfig(check(withChange('backup: { cron: "0 2 * * *", timezone: UTC }', kinds)), {
      TEMPORAL_CONFIG_FILE: '/nonexistent',
    }),
  );
  assert.deepEqual(
    found.map(({ id, order }) => [id, order]),
    [
      ['lifeboat/shop/verify', { workflow: 'verifyAll', input: { source: 'shop' } }],
      ['lifeboat/shop/walVerify', { workflow: 'verifyWal', input: { source: 'shop' } }],
    ],
  );
});

test('schedules: two ways to write one time are the same', () => {
  const other = desiredSchedules(
    assembleConfig(check(withChange('"0 2 * * *"', '"0 2 * 1-12 sun-sat"')), { TEMPORAL_CONFIG_FILE: '/nonexistent' }),
  );
  assert.equal(other[0]?.when.key, wanted.when.key);
});

test('schedules: what is missing is created, what is right is kept', () => {
  assert.deepEqual(
    plan([]).map((step) => step.do),
    ['create'],
  );
  assert.deepEqual(plan([{}]), [{ do: 'keep', id: wanted.id }]);
});

test('schedules: each difference is named with both values', () => {
  const [step] = plan([
    {
      when: { key: 'other', text: '0 3 * * * UTC' },
      catchupWindowMs: 60_000,
      overlap: 'ALLOW_ALL',
      taskQueue: 'elsewhere',
      order: { workflow: 'drill', input: { source: 'shop' } },
    },
  ]);
  assert.ok(step?.do === 'update');
  assert.deepEqual(
    step.changes.map(({ field, from, to }) => `${field}: ${from} -> ${to}`),
    [
      'when: 0 3 * * * UTC -> 0 2 * * * UTC',
      'catchupWindow: 1m -> 12h',
      'overlap: ALLOW_ALL -> SKIP',
      'taskQueue: elsewhere -> lifeboat',
      'order: {"workflow":"drill","input":{"source":"shop"}} -> {"workflow":"backup","input":{"source":"shop"}}',
    ],
  );
});

test("schedules: a person's pause is kept, the configuration's own is not", () => {
  assert.deepEqual(
    plan([{ pause: 'by a person' }]).map((step) => step.do),
    ['keep'],
  );
  assert.deepEqual(
    plan([{ pause: 'by configuration' }]).map((step) => step.do),
    ['update'],
  );
  const paused = plan([{}], { wanted: [{ ...wanted, pause: 'by configuration' }] });
  assert.deepEqual(
    paused.map((step) => step.do),
    ['update'],
  );
});

test('schedules: only our own that left the configuration are deleted', () => {
  const steps = plan(
    [
      { id: 'lifeboat/old/backup' },
      { id: 'lifeboat/theirs/backup', owner: 'theirs' },
      { id: 'lifeboat/nobody/backup', owner: undefined },
      { id: 'nightly-report' },
    ],
    { wanted: [] },
  );
  assert.deepEqual(steps, [{ do: 'delete', id: 'lifeboat/old/backup' }]);
});

test('schedules: one of another configuration is refused, or adopted when that is asked for', () => {
  for (const owner of ['theirs', undefined]) {
    assert.throws(
      () => plan([{ owner }]),
      (error) => isFailure(error, 'Precondition'),
    );
    const [step] = plan([{ owner }], { adopt: true });
    assert.deepEqual(step?.do === 'update' && step.changes.map(({ field }) => field), ['owner']);
  }
});
