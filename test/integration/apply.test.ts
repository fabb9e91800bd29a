import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ScheduleSpec } from '@temporalio/client';
import { ScheduleNotFoundError } from '@temporalio/client';
import type { CliWorld } from '../support/cli-world.ts';
import { withCliWorld } from '../support/cli-world.ts';

const body = (name: string, schedule: string, source = 'shop'): string => `
name: ${name}
stores: { local: { kind: filesystem, path: vault } }
sources:
  ${source}:
    kind: postgres
    connection: { host: 127.0.0.1, port: 5432, user: postgres, database: postgres }
    store: local
    schedule: ${schedule}
`;

const NIGHTLY = '{ backup: { cron: "0 2 * * *", timezone: Europe/Berlin }, drill: { every: 12h } }';
const BACKUP = 'lifeboat/shop/backup';
const DRILL = 'lifeboat/shop/drill';

const stepsOf = (json: Record<string, unknown>): string[] =>
  (json['schedules'] as { do: string; id: string }[]).map((step) => `${step.do} ${step.id}`);

const apply = async (world: CliWorld, ...more: string[]): Promise<string[]> => {
  const said = await world.cli(['apply', '--json', ...more]);
  assert.equal(said.code, 0, said.out + said.err);
  return stepsOf(said.json);
};

const exists = async (world: CliWorld, id: string): Promise<boolean> => {
  try {
    await world.client.schedule.getHandle(id).describe();
    return true;
  } catch (error) {
    assert.ok(error instanceof ScheduleNotFoundError, String(error));
    return false;
  }
};

test('apply: a stream that is to be no more is asked to end', async () => {
  await withCliWorld(async (world) => {
    const streams = (count: number): Promise<unknown> =>
      world.writeConfig(
        body('mine', NIGHTLY).replace('    store: local', `    store: local\n    wal: { streams: ${count} }`),
      );
    await streams(2);
    await apply(world);
    await streams(1);
    const dry = await world.cli(['apply', '--dry-run']);
    assert.match(dry.out, /^= wal\/shop\n- wal\/shop\/2 {2}ends, and drops its slot/m);
    const second = world.client.workflow.getHandle('wal/shop/2');
    const asked = async (): Promise<unknown[]> =>
      ((await second.fetchHistory()).events ?? []).flatMap(
        ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName ?? [],
      );
    assert.deepEqual(await asked(), []);
    const said = await world.cli(['apply', '--json']);
    assert.deepEqual(said.json['streams'], [
      { do: 'keep', id: 'wal/shop' },
      { do: 'end', id: 'wal/shop/2' },
    ]);
    assert.deepEqual(await asked(), ['refresh']);
  });
});

test('apply: the difference is shown first, then made, then there is none', async () => {
  await withCliWorld(async (world) => {
    await world.writeConfig(body('mine', NIGHTLY));
    const dry = await world.cli(['apply', '--dry-run']);
    assert.equal(dry.code, 0, dry.err);
    assert.deepEqual(dry.out.split('\n'), [
      `+ ${BACKUP}  0 2 * * * Europe/Berlin`,
      `+ ${DRILL}  every 12h`,
      '+ wal/shop  streams the WAL until it is cancelled',
      '2 would be created, 0 updated, 0 deleted, 0 are as they should be',
      '',
    ]);
    assert.equal(await exists(world, BACKUP), false);

    assert.deepEqual(await apply(world), [`create ${BACKUP}`, `create ${DRILL}`]);
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`, `keep ${DRILL}`]);
    const again = await world.cli(['apply', '--json']);
    assert.deepEqual(again.json['streams'], [{ do: 'keep', id: 'wal/shop' }]);

    const made = await world.client.schedule.getHandle(BACKUP).describe();
    assert.deepEqual(made.action.args, [{ workflow: 'backup', input: { source: 'shop' } }]);
    assert.equal(made.action.workflowType, 'scheduled');
    assert.equal(made.policies.overlap, 'SKIP');
    const next = made.info.nextActionTimes[0];
    const hour = next?.toLocaleString('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit' });
    assert.equal(hour, '02:00');

    await world.writeConfig(body('mine', '{ backup: { cron: "30 3 * * 1-5", timezone: UTC } }'));
    const changed = await world.cli(['apply']);
    assert.match(
      changed.out,
      /~ lifeboat\/shop\/backup\n {4}when: 0 2 \* \* \* Europe\/Berlin -> 30 3 \* \* 1-5 UTC\n/,
    );
    assert.match(changed.out, /- lifeboat\/shop\/drill\n/);
    assert.equal(await exists(world, DRILL), false);
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`]);
  });
});

test('apply: only schedules of this configuration are deleted, one of another is refused or adopted', async () => {
  await withCliWorld(async (world) => {
    const mine = await world.writeConfig(body('mine', NIGHTLY));
    const theirs = await world.writeConfig(body('theirs', NIGHTLY, 'crm'), 'theirs.yml');
    await apply(world, '--config', mine);
    await apply(world, '--config', theirs);
    await world.client.schedule.create({
      scheduleId: 'lifeboat/by-hand/backup',
      spec: { intervals: [{ every: '1d' }] },
      action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x', args: [] },
    });
    await world.client.schedule.create({
      scheduleId: 'nightly-report',
      spec: { intervals: [{ every: '1d' }] },
      action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x', args: [] },
    });

    await world.writeConfig(body('mine', '{}'));
    assert.deepEqual(await apply(world), [`delete ${BACKUP}`, `delete ${DRILL}`]);
    for (const id of ['lifeboat/crm/backup', 'lifeboat/crm/drill', 'lifeboat/by-hand/backup', 'nightly-report']) {
      assert.equal(await exists(world, id), true, id);
    }

    await world.writeConfig(body('mine', '{ backup: { every: 1h } }', 'crm'));
    const refused = await world.cli(['apply']);
    assert.equal(refused.code, 5);
    assert.match(refused.err, /schedule lifeboat\/crm\/backup belongs to another configuration/);
    assert.match(refused.err, /found: configuration theirs/);
    assert.deepEqual(await apply(world, '--adopt'), ['update lifeboat/crm/backup']);
    assert.deepEqual(await apply(world), ['keep lifeboat/crm/backup']);
    const stale = await world.cli(['apply', '--config', theirs]);
    assert.equal(stale.code, 5, 'the other one does not take it back unasked');
  });
});

test("apply: a person's pause outlives an update, the configuration's own does not", async () => {
  await withCliWorld(async (world) => {
    const handle = world.client.schedule.getHandle(BACKUP);
    const paused = async (): Promise<boolean> => (await handle.describe()).state.paused;
    await world.writeConfig(body('mine', '{ backup: { every: 1h } }'));
    await apply(world);
    await handle.pause('maintenance until Monday');
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`]);
    await world.writeConfig(body('mine', '{ backup: { every: 2h } }'));
    assert.deepEqual(await apply(world), [`update ${BACKUP}`]);
    const after = await handle.describe();
    assert.equal(after.state.paused, true);
    assert.equal(after.state.note, 'maintenance until Monday');
    await handle.unpause();

    await world.writeConfig(body('mine', '{ backup: { every: 2h, paused: true } }'));
    assert.deepEqual(await apply(world), [`update ${BACKUP}`]);
    assert.equal(await paused(), true);
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`]);
    await world.writeConfig(body('mine', '{ backup: { every: 2h } }'));
    assert.deepEqual(await apply(world), [`update ${BACKUP}`]);
    assert.equal(await paused(), false);
  });
});

test('apply: with a payload key Temporal stores nothing readable, and the schedules compare all the same', async () => {
  await withCliWorld(async (world) => {
    const key = join(world.dir, 'keys/payload.key');
    await writeFile(key, randomBytes(32).toString('base64'), { mode: 0o600 });
    const temporal = `temporal: { address: "${world.address}", encryptionKey: { file: ${key} } }`;
    await world.writeConfig(`${temporal}\n${body('mine', '{ backup: { every: 1h } }')}`);
    assert.deepEqual(await apply(world), [`create ${BACKUP}`]);
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`]);
    const { namespace } = world.client.options;
    const { schedule } = await world.client.workflowService.describeSchedule({ namespace, scheduleId: BACKUP });
    const [payload] = schedule?.action?.startWorkflow?.input?.payloads ?? [];
    assert.equal(Buffer.from(payload?.metadata?.['encoding'] ?? []).toString(), 'binary/encrypted');
    assert.ok(!Buffer.from(payload?.data ?? []).includes('shop'));
  });
});

test('apply: what a person changed by hand is seen and set right', async () => {
  await withCliWorld(async (world) => {
    await world.writeConfig(body('mine', '{ backup: { cron: "0 2 * * *", timezone: UTC } }'));
    await apply(world);
    const handle = world.client.schedule.getHandle(BACKUP);
    const specs: ScheduleSpec[] = [
      { calendars: [{ hour: 2, minute: 0, second: 30 }] },
      { calendars: [{ hour: 2, minute: 0, second: 0, year: 2031 }] },
      { calendars: [{ hour: 2 }, { hour: 14 }] },
      { calendars: [{ hour: 2 }], jitter: '5m' },
      { calendars: [{ hour: 2 }], intervals: [{ every: '1h' }] },
      { calendars: [{ hour: 2 }], endAt: new Date('2031-01-01T00:00:00Z') },
    ];
    for (const spec of specs) {
      await handle.update((previous) => ({ ...previous, spec }));
      const said = await world.cli(['apply']);
      assert.match(said.out, /when: changed by hand -> 0 2 \* \* \* UTC\n/, JSON.stringify(spec));
      assert.deepEqual(await apply(world), [`keep ${BACKUP}`]);
    }
    await handle.update((previous) => ({ ...previous, spec: { calendars: [{ hour: 3 }] } }));
    assert.match((await world.cli(['apply', '--dry-run'])).out, /when: .* -> 0 2 \* \* \* UTC\n/);
  });
});

test('apply: two at once end with the same schedules', async () => {
  await withCliWorld(async (world) => {
    await world.writeConfig(body('mine', NIGHTLY));
    const both = await Promise.all([world.cli(['apply', '--json']), world.cli(['apply', '--json'])]);
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    );
    assert.deepEqual(await apply(world), [`keep ${BACKUP}`, `keep ${DRILL}`]);
  });
});
