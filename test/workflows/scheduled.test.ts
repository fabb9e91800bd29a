import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '@temporalio/activity';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import type { ScheduledResult } from '../../workflows/model/results.ts';
import { untilCancelled } from '../support/workflow-answers.ts';
import { withWorkflows } from '../support/workflow-env.ts';

/** Orders that are refused, and the place that the refusal names. */
const REFUSED: [workflow: string, order: unknown, place: string][] = [
  ['backup', undefined, 'backup'],
  ['backup', 'shop', 'backup'],
  ['backup', [], 'backup'],
  ['backup', {}, 'backup.source'],
  ['backup', { source: 5 }, 'backup.source'],
  ['backup', { source: '' }, 'backup.source'],
  ['backup', { source: 'shop', chekpoint: 'fast' }, 'backup.chekpoint'],
  ['backup', { source: 'shop', checkpoint: 'soon' }, 'backup.checkpoint'],
  ['backup', { source: 'shop', type: 'half' }, 'backup.type'],
  ['backup', { source: 'shop', label: null }, 'backup.label'],
  ['wal', { source: 'shop', slot: 'x' }, 'wal.slot'],
  ['restore', { source: 'shop', target: 'latest' }, 'restore.target'],
  ['restore', { source: 'shop', target: { kind: 'Latest' } }, 'restore.target.kind'],
  ['restore', { source: 'shop', target: { kind: 'latest', time: '2026-01-01T00:00:00Z' } }, 'restore.target.time'],
  ['restore', { source: 'shop', target: { kind: 'time', time: '2026-01-01 00:00' } }, 'target.time'],
  ['restore', { source: 'shop', target: { kind: 'time', time: 'yesterday' } }, 'target.time'],
  [
    'restore',
    { source: 'shop', target: { kind: 'time', time: '2026-01-01T00:00:00Z', inclusive: 'no' } },
    'restore.target.inclusive',
  ],
  ['restore', { source: 'shop', target: { kind: 'name', name: 'x', inclusive: false } }, 'restore.target.inclusive'],
  ['restore', { source: 'shop', target: { kind: 'xid', xid: '0' } }, 'restore.target.xid'],
  ['restore', { source: 'shop', target: { kind: 'lsn' } }, 'restore.target.lsn'],
  ['restore', { source: 'shop', targt: { kind: 'latest' } }, 'restore.targt'],
  ['restore', { source: 'shop', timeline: 0 }, 'restore.timeline'],
  ['restore', { source: 'shop', timeline: 'newest' }, 'restore.timeline'],
  ['restore', { source: 'shop', action: 'open' }, 'restore.action'],
  ['restore', { source: 'shop', port: 70_000 }, 'restore.port'],
  ['restore', { source: 'shop', port: '5432' }, 'restore.port'],
  ['restore', { source: 'shop', replace: 'yes' }, 'restore.replace'],
  ['restore', { source: 'shop', tablespaces: { 16400: 5 } }, 'restore.tablespaces'],
  ['drill', { source: 'shop', into: '/srv' }, 'drill.into'],
  ['verify', { source: 'shop' }, 'verify.point'],
  ['retention', { source: 'shop', dryrun: true }, 'retention.dryrun'],
  ['retention', { source: 'shop', dryRun: 'yes' }, 'retention.dryRun'],
  ['hold', { source: 'shop', reason: 'x' }, 'hold.point'],
  ['hold', { source: 'shop', point: 'p', reason: '' }, 'hold.reason'],
  ['inspect', { what: 'everything' }, 'inspect.what'],
  ['inspect', { what: 'contents', source: 'shop', point: 'p1', page: 0 }, 'inspect.page'],
  ['extract', { source: 'shop', point: 'p1' }, 'extract.to'],
  ['extract', { source: 'shop', point: 'p1', file: 'PG_VERSION', to: 'srv/version' }, 'extract.to'],
  ['extract', { source: 'shop', point: 'p1', to: '/srv/version' }, 'extract.file'],
  ['extract', { source: 'shop', point: 'p1', file: 'a', relation: 'b.c.d', to: '/srv/version' }, 'extract.file'],
  ['inspect', { what: 'constructor' }, 'inspect.what'],
  ['inspect', null, 'inspect.what'],
  ['inspect', { what: 'point' }, 'inspect.point'],
  ['scheduled', { workflow: 'restore', input: { source: 'shop' } }, 'scheduled.workflow'],
  ['scheduled', { workflow: 'backup', input: [] }, 'scheduled.input'],
  ['scheduled', { workflow: 'failoverDrill', input: { source: 'shop' } }, 'scheduled.input.source'],
  ['scheduled', { workflow: 'failoverDrill', input: {} }, 'scheduled.input.service'],
  ['failoverDrill', {}, 'failoverDrill.service'],
  ['failoverDrill', { service: 'web', mode: 'planned' }, 'failoverDrill.mode'],
  ['scheduled', { workflow: 'backup', input: { source: 'x'.repeat(2000) } }, 'scheduled.input.source'],
  ['scheduled', { workflow: 'backup', input: { source: 'shop', point: 'p' } }, 'scheduled.input.point'],
  ['verifyAll', { source: 'shop', point: 'p' }, 'verifyAll.point'],
  ['verifyWal', { source: 'shop', since: 'yesterday' }, 'verifyWal.since'],
  ['verifyWal', { source: 'shop', timeline: 0 }, 'verifyWal.timeline'],
  ['compactWal', { source: 'shop', open: 'yes' }, 'compactWal.open'],
];

test('workflows: schedules and orders', { timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('orders are refused key by key, before anything is asked', async () => {
      const refusals = REFUSED.map(async ([workflow, order, place], index) => {
        const run = await world.start(workflow, { order: () => order, workflowId: `refused-${index}` });
        const error = await run.handle.result().then(() => undefined, (thrown: Error) => thrown); // prettier-ignore
        const cause = error?.cause as (Error & { details?: { place?: string }[] }) | undefined;
        const shown = `${workflow} ${JSON.stringify(order)?.slice(0, 80)}`;
        assert.equal(failureTypeOf(cause), 'ConfigInvalid', shown);
        assert.equal(cause?.details?.[0]?.place, place, shown);
        assert.deepEqual(run.names(), [], shown);
      });
      await Promise.all(refusals);
    });

    await t.test('scheduled: starts the run under its fixed id, whose end it does not wait for', async () => {
      for (const [workflow, id] of [
        ['backup', 'backup/SOURCE'],
        ['drill', 'drill/SOURCE'],
        ['retention', 'retention/SOURCE'],
        ['verifyAll', 'verify/SOURCE/all'],
        ['verifyWal', 'verify/SOURCE/wal'],
      ] as const) {
        const order = (source: string): unknown => ({ workflow, input: { source } });
        const run = await world.start('scheduled', { order });
        const result = (await run.handle.result()) as ScheduledResult;
        assert.equal(result.outcome, 'started');
        assert.equal(result.workflowId, id.replace('SOURCE', run.source));
        assert.match(await run.details(), /^started /);
        const started = world.client.workflow.getHandle(result.workflowId);
        await started.result();
        assert.equal((await started.describe()).runId, result.outcome === 'started' ? result.runId : '');
      }
    });

    await t.test('scheduled: a run that is in the way is a skip, told as such', async () => {
      const busy = await world.start('backup', { script: { takeBackup: () => untilCancelled() } });
      const order = (): unknown => ({ workflow: 'backup', input: { source: busy.source } });
      const run = await world.start('scheduled', { order });
      assert.deepEqual(await run.handle.result(), {
        outcome: 'skipped',
        workflowId: `backup/${busy.source}`,
        reason: `backup/${busy.source} is running already`,
      });
      assert.match(await run.details(), /^skipped: /);
      await busy.handle.cancel();
    });

    await t.test('a year of nights in seconds: each is started or skipped, never two at once', async () => {
      const DAY_MS = 86_400_000;
      let working = 0;
      const describeSource = async (): Promise<never> => {
        assert.equal(++working, 1);
        await Context.current().sleep(1);
        working--;
        throw failure('Precondition', 'source of the test is closed');
      };
      const beganMs = Date.now();
      const first = await world.start('scheduled', {
        script: { describeSource },
        order: (source) => ({ workflow: 'backup', input: { source } }),
      });
      const order = (): unknown => ({ workflow: 'backup', input: { source: first.source } });
      const night = async (day: number): Promise<ScheduledResult['outcome']> => {
        const { handle } = await world.start('scheduled', { order, startDelayMs: day * DAY_MS });
        const { outcome } = (await handle.result()) as ScheduledResult;
        const { closeTime } = await handle.describe();
        assert.ok((closeTime?.getTime() ?? 0) - beganMs >= day * DAY_MS, `night ${day} came early`);
        return outcome;
      };
      const outcomes: string[] = [((await first.handle.result()) as ScheduledResult).outcome];
      for (let day = 1; day < 365; day += 28) {
        const month = Array.from({ length: Math.min(28, 365 - day) }, (_, index) => night(day + index));
        outcomes.push(...(await Promise.all(month)));
      }
      assert.equal(outcomes.length, 365);
      const started = outcomes.filter((outcome) => outcome === 'started').length;
      assert.ok(started >= 1);
      await world.client.workflow.getHandle(`backup/${first.source}`).result().catch(() => undefined); // prettier-ignore
      assert.equal(first.of('describeSource').length, started);
    });
  });
});
