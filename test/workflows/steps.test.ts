import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../workflows/model/failure.ts';
import { PHASES } from '../../workflows/model/recovery.ts';
import type { RtoForecast } from '../../workflows/model/forecast.ts';
import { forecastOf } from '../../workflows/model/forecast.ts';
import type { BackupResult, DrillResult } from '../../workflows/model/results.ts';
import type { ExtractResult } from '../../workflows/model/contents.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { StandbyEvidence } from '../../workflows/model/standby.ts';
import { sampleResult } from '../support/sample-report.ts';
import { dumpAnswers, dumpOf, factsOf, planOf, pointOf } from '../support/workflow-answers.ts';
import { pointsVerified, walVerified } from '../support/workflow-answers.ts';
import type { ActivityName, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const RECOVERY: ActivityName[] = [
  ...(['planRestore', 'prepareTarget', 'fetchBase', 'replayWal', 'openCluster', 'proveCluster'] as const),
  'finishRestore',
];

async function finished(world: WorkflowWorld, workflow: string, options?: StartOptions): Promise<[TestRun, unknown]> {
  const run = await world.start(workflow, options);
  return [run, await run.handle.result()];
}

test('workflows: their steps, in order, and what they answer', async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('backup: the stream first, the base next, the point when its WAL is there', async () => {
      const [run, result] = await finished(world, 'backup', { input: { label: 'before 2.0', checkpoint: 'spread' } });
      assert.deepEqual(run.names(), [
        'describeSource',
        'checkBackup',
        'awaitStreaming',
        'takeBackup',
        'awaitWal',
        'publishPoint',
      ]);
      assert.deepEqual(result, pointOf(run.source));
      const [task] = run.of('takeBackup');
      assert.equal(task?.label, 'before 2.0');
      assert.equal(task?.checkpoint, 'spread');
      const { runId } = await run.handle.describe();
      assert.match(task?.prefix ?? '', new RegExp(`^\\d{8}T\\d{6}Z-${runId.replaceAll('-', '').slice(-8)}$`));
      assert.deepEqual(run.of('publishPoint'), [
        { source: run.source, point: pointOf(run.source).point, prefix: task?.prefix },
      ]);
      assert.deepEqual(run.of('awaitWal'), [{ source: run.source, need: pointOf(run.source) }]);
    });

    await t.test(
      'backup: a forecast that breaks the objective warns people, one that keeps it is said on the run',
      async () => {
        const load = { fetchBytes: 2 ** 40, clusterBytes: 2 ** 40, links: 1, walBytes: 2 ** 34 };
        const forecastFor = (objectiveMs: number): RtoForecast =>
          forecastOf(load, { measurements: [], nowMs: 0, objectiveMs });
        for (const [objectiveMs, told] of [
          [3_600_000, ['warning']],
          [864_000_000, []],
        ] as const) {
          const forecast = forecastFor(objectiveMs);
          const [run, result] = await finished(world, 'backup', {
            script: { publishPoint: async ({ source }) => ({ ...pointOf(source), forecast }) },
          });
          assert.deepEqual((result as BackupResult).forecast, forecast);
          assert.deepEqual(
            run.of('notify').map(({ severity }) => severity),
            told,
          );
          const { timeline } = await run.progress();
          assert.ok(timeline.some(({ what }) => what.startsWith('a restore will take ')));
        }
      },
    );

    await t.test('backup: a full one instead of less is said on the run and to people', async () => {
      const [run, result] = await finished(world, 'backup', {
        input: { type: 'incremental' },
        script: {
          takeBackup: async ({ source }) => ({ ...pointOf(source), fallback: 'summarize_wal is off' }),
          publishPoint: async ({ source }) => ({ ...pointOf(source), fallback: 'summarize_wal is off' }),
        },
      });
      assert.equal((result as PointSummary).fallback, 'summarize_wal is off');
      assert.equal(run.of('takeBackup')[0]?.type, 'incremental');
      const [told] = run.of('notify');
      assert.deepEqual([told?.severity, told?.body], ['warning', 'summarize_wal is off']);
      const { timeline } = await run.progress();
      assert.ok(timeline.some(({ what }) => what === 'a full backup instead of incremental: summarize_wal is off'));
    });

    await t.test('backup: damaged pages of the source are said on the run and to people, and it is kept', async () => {
      const damaged = { pages: 2, first: ['base/5/16384 page 7', 'base/5/16384 page 9'] };
      const [run, result] = await finished(world, 'backup', {
        script: {
          takeBackup: async ({ source }) => ({ ...pointOf(source), damaged }),
          publishPoint: async ({ source }) => ({ ...pointOf(source), damaged }),
        },
      });
      assert.deepEqual((result as PointSummary).damaged, damaged);
      const [told] = run.of('notify');
      assert.equal(told?.severity, 'critical');
      assert.match(told?.body ?? '', /^2 damaged pages .*page 7, base\/5\/16384 page 9\. /);
      const { timeline } = await run.progress();
      assert.ok(timeline.some(({ what }) => what.startsWith('2 damaged pages on the source')));
    });

    await t.test('backup: the stream it started goes on, and a second backup finds it running', async () => {
      const [run] = await finished(world, 'backup');
      const stream = world.client.workflow.getHandle(`wal/${run.source}`);
      assert.equal((await stream.describe()).status.name, 'RUNNING');
      const order = (): unknown => ({ source: run.source });
      await finished(world, 'backup', { order, workflowId: `backup/${run.source}` });
      assert.equal((await stream.describe()).status.name, 'RUNNING');
    });

    await t.test('backup: each of several streams is started', async () => {
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { walStreams: 2 });
      const [{ source }] = await finished(world, 'backup', { script: { describeSource } });
      for (const [id, order] of [
        [`wal/${source}`, { source }],
        [`wal/${source}/2`, { source, stream: 2 }],
      ] as const) {
        const { events } = await world.client.workflow.getHandle(id).fetchHistory();
        const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
        assert.deepEqual(JSON.parse(Buffer.from(payload ?? []).toString()), order);
      }
    });

    await t.test('restore: plan, fetch, replay, open, prove, tidy up, report; nothing is removed', async () => {
      const target = { kind: 'time', time: '2026-01-05T04:00:14+01:00', inclusive: false };
      const [run, result] = await finished(world, 'restore', { input: { target, into: '/srv/new', port: 5444 } });
      assert.deepEqual(run.names(), ['describeSource', ...RECOVERY, 'writeReport']);
      const [task] = run.of('planRestore');
      assert.deepEqual(task?.target, { kind: 'time', time: '2026-01-05T03:00:14.000000Z', inclusive: false });
      assert.equal(task?.into, '/srv/new');
      assert.equal(task?.run, (await run.handle.describe()).runId);
      for (const name of ['fetchBase', 'finishRestore'] as const) assert.deepEqual(run.of(name), [planOf(run.source)]);
      const { proof, phases, rtoMs, rtoObjectiveMs, setAside, report } = result as RestoreResult;
      assert.ok(proof.ok);
      assert.deepEqual(Object.keys(phases).sort(), [...PHASES].sort());
      assert.ok(rtoMs >= PHASES.reduce((sum, phase) => sum + phases[phase], 0));
      assert.equal(rtoObjectiveMs, 3_600_000);
      assert.equal(setAside, planOf(run.source).setAside);
      assert.equal(report?.host, 'db1');
    });

    await t.test('restore: a standby is proven by what it was seen to do, and is no other run', async () => {
      const wishes = { standby: true, follow: 'streaming', fromServer: 'db2:5432', slot: 'db1', listen: '*' };
      const primary = { host: 'db2', port: 5432 };
      const standby = { follow: 'streaming' as const, primary, slot: 'db1', fetch: ['lifeboat', 'wal-fetch'] };
      const follows: StandbyEvidence = {
        ...{ follow: 'streaming', primary: 'db2:5432', systemId: '7312345678901234567', timeline: 2 },
        ...{ markerLsn: '0/5000000', replayedLsn: '0/5000060', fetched: '000000010000000000000003' },
      };
      const [run] = await finished(world, 'restore', {
        input: wishes,
        script: {
          planRestore: async ({ source }) => {
            const plan = { ...planOf(source), standby };
            return { preview: true, plan, windows: [plan.window], nearest: {}, notes: [] };
          },
          openCluster: async () => ({ ...sampleResult().open, state: 'standby', follows }),
        },
      });
      assert.deepEqual(run.names(), ['describeSource', ...RECOVERY, 'writeReport']);
      const [task] = run.of('planRestore');
      assert.deepEqual({ ...task, ...wishes }, task);
      assert.deepEqual(run.of('proveCluster')[0]?.follows, follows);
    });

    await t.test('restore: a standby that was up stays when its run fails, and no other', async () => {
      const standby = { follow: 'archive' as const, fetch: ['lifeboat', 'wal-fetch'] };
      const fails = (evidence: unknown) => async (): Promise<never> => {
        throw failure('Precondition', 'standby does not follow', evidence === undefined ? {} : { evidence });
      };
      const rows: [step: 'replayWal' | 'openCluster', evidence: unknown, isKept: boolean][] = [
        ['replayWal', undefined, false],
        ['replayWal', { tookSessions: true }, true],
        ['openCluster', undefined, true],
      ];
      for (const [step, evidence, isKept] of rows) {
        const run = await world.start('restore', {
          input: { standby: true, follow: 'archive' },
          script: {
            planRestore: async ({ source }) => {
              const plan = { ...planOf(source), standby };
              return { preview: true, plan, windows: [plan.window], nearest: {}, notes: [] };
            },
            [step]: fails(evidence),
          },
        });
        await assert.rejects(run.handle.result());
        assert.equal(run.names().includes('discardRestore'), !isKept, `${step} ${JSON.stringify(evidence)}`);
        const { attention } = await run.progress();
        if (isKept) assert.match(attention ?? '', /copy is kept, look at it/);
      }
    });

    await t.test('restore: steps run on the host of the plan, whoever made it', async () => {
      const [run] = await finished(world, 'restore', { input: { host: 'db1' } });
      const { events } = await run.handle.fetchHistory();
      const queues = (events ?? []).flatMap((event) => {
        const scheduled = event.activityTaskScheduledEventAttributes;
        return scheduled ? [`${scheduled.activityType?.name} ${scheduled.taskQueue?.name}`] : [];
      });
      const wanted = [...RECOVERY, 'writeReport'].map((name) => `${name} lifeboat.host.db1`);
      assert.deepEqual(queues, ['describeSource lifeboat', ...wanted]);
    });

    await t.test('restore --preview: asks for the plan and touches nothing', async () => {
      const [run, result] = await finished(world, 'restore', { input: { preview: true } });
      assert.deepEqual(run.names(), ['describeSource', 'planRestore']);
      assert.equal((result as { preview: boolean }).preview, true);
      assert.equal((await run.progress()).outcome, 'done');
    });

    await t.test('drill: a moment is chosen, recovered, proven, removed, then reported', async () => {
      const [run, result] = await finished(world, 'drill');
      const wanted = ['describeSource', 'chooseDrillTarget', ...RECOVERY, 'discardRestore', 'writeReport'];
      assert.deepEqual(run.names(), wanted);
      const { cleaned, rpoMs, objectives, target } = result as DrillResult;
      assert.deepEqual({ cleaned, rpoMs }, { cleaned: true, rpoMs: 1000 });
      assert.deepEqual(run.of('planRestore')[0]?.target, target);
      assert.deepEqual(objectives.map(({ name, ok }) => [name, ok]), [['rto', true], ['rpo', true]]); // prettier-ignore
    });

    await t.test('drill: an objective that was missed is said in the result', async () => {
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { rpoMs: 999 });
      const [, result] = await finished(world, 'drill', { script: { describeSource } });
      const missed = (result as DrillResult).objectives.filter(({ ok }) => !ok);
      assert.deepEqual(missed, [{ name: 'rpo', objectiveMs: 999, measuredMs: 1000, ok: false }]);
    });

    await t.test('drill: to a chosen moment on a chosen host', async () => {
      const input = { target: { kind: 'latest' }, host: 'db1' };
      const [run, result] = await finished(world, 'drill', { input });
      assert.deepEqual((result as DrillResult).target, { kind: 'latest' });
      assert.equal(run.of('planRestore')[0]?.host, 'db1');
    });

    await t.test('a source that is dumped: no stream, no WAL to wait for, nothing to replay', async () => {
      const options = { script: dumpAnswers };
      const [backup, point] = await finished(world, 'backup', options);
      assert.deepEqual(backup.names(), ['describeSource', 'checkBackup', 'takeBackup', 'publishPoint']);
      assert.deepEqual(point, dumpOf(backup.source));
      const stream = world.client.workflow.getHandle(`wal/${backup.source}`);
      await assert.rejects(stream.describe(), { name: 'WorkflowNotFoundError' });
      const { timeline } = await backup.progress();
      assert.ok(timeline.some(({ what }) => what.endsWith(': crm; 3 tables, 1200 rows')));
      const steps = RECOVERY.filter((name) => name !== 'replayWal');
      const [restore, result] = await finished(world, 'restore', options);
      assert.deepEqual(restore.names(), ['describeSource', ...steps, 'writeReport']);
      assert.equal((result as RestoreResult).replay, undefined);
      assert.deepEqual(restore.of('proveCluster'), [{ plan: restore.of('fetchBase')[0] }]);
      const [drill] = await finished(world, 'drill', options);
      assert.deepEqual(drill.names(), [
        'describeSource',
        'chooseDrillTarget',
        ...steps,
        'discardRestore',
        'writeReport',
      ]);
      const refused = await world.start('wal', options);
      await assert.rejects(refused.handle.result(), (error: Error) => /has no WAL to stream/.test(String(error.cause)));
    });

    await t.test('extract: found, taken, and what stood beside it removed', async () => {
      const input = { point: 'p1', file: 'PG_VERSION', to: '/srv/version' };
      const [run, result] = await finished(world, 'extract', { input });
      assert.deepEqual(run.names(), ['describeSource', 'planExtract', 'extractFiles', 'discardExtract']);
      assert.deepEqual(run.of('extractFiles'), [(result as ExtractResult).plan]);
    });

    await t.test('verify and inspect answer what was found', async () => {
      const [run, result] = await finished(world, 'verify', { input: { point: 'p1' } });
      assert.deepEqual(run.names(), ['describeSource', 'verifyPoint']);
      assert.equal((result as { parts: number }).parts, 3);
      const [, answer] = await finished(world, 'inspect', { order: () => ({ what: 'points' }) });
      assert.deepEqual(answer, { what: 'points', sources: [] });
    });

    await t.test('verifyAll: every point, then all WAL; a source of dumps has none', async () => {
      const [run, result] = await finished(world, 'verifyAll');
      assert.deepEqual(run.names(), ['describeSource', 'verifyPoints', 'verifyWal']);
      assert.deepEqual(result, {
        ...{ source: run.source, ok: true },
        ...{ points: pointsVerified(run.source), wal: walVerified(run.source) },
      });
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { dumps: true });
      const [dumps, whole] = await finished(world, 'verifyAll', { script: { describeSource } });
      assert.deepEqual(dumps.names(), ['describeSource', 'verifyPoints']);
      assert.deepEqual(whole, { source: dumps.source, ok: true, points: pointsVerified(dumps.source) });
    });

    await t.test('verifyWal takes a moment or a position; compactWal says what became of what', async () => {
      const [run, result] = await finished(world, 'verifyWal', { input: { since: '0/3000000', timeline: 2 } });
      assert.deepEqual(run.of('verifyWal'), [{ source: run.source, since: '0/3000000', timeline: 2 }]);
      assert.deepEqual(result, walVerified(run.source));
      const [compact, done] = await finished(world, 'compactWal', { input: { open: true } });
      assert.deepEqual(compact.of('compactWal'), [{ source: compact.source, open: true }]);
      assert.equal((done as { pieces: number }).pieces, 7);
    });

    await t.test('the run says at each step what it does: query, current details, search attributes', async () => {
      const seen: [string, string, string][] = [];
      const watch = async (_index: number, name: ActivityName): Promise<void> => {
        if (name === 'describeSource') return;
        const { step, outcome } = await run.progress();
        const details = await run.details();
        assert.ok(details.startsWith(`**${run.source}**: ${step} (running)`), details);
        assert.match(details, /RTO 1h, used /);
        seen.push([name, step, outcome]);
      };
      let run: TestRun = undefined as never;
      const gate = Promise.withResolvers<void>();
      const before: StartOptions['before'] = async (index, name) => {
        await gate.promise;
        await watch(index, name);
      };
      run = await world.start('restore', { before });
      gate.resolve();
      await run.handle.result();
      const wanted = ['find', 'fetch', 'fetch', 'replay', 'open', 'prove', 'finish', 'finish'];
      assert.deepEqual(seen.map(([, step]) => step), wanted); // prettier-ignore
      const { typedSearchAttributes } = await run.handle.describe();
      const found = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
      assert.equal(found['LifeboatSource'], run.source);
      assert.equal(found['LifeboatKind'], 'postgres');
      assert.equal(found['LifeboatPhase'], 'finish');
      assert.equal(found['LifeboatOutcome'], 'done');
      assert.equal(found['LifeboatDrill'], false);
      const { outcome, phases, result } = await run.progress();
      assert.equal(outcome, 'done');
      assert.deepEqual(Object.keys(phases ?? {}), [...PHASES]);
      assert.ok(result?.proof.ok);
      assert.match(await run.details(), /done \(done\)/);
    });

    await t.test('a namespace without our search attributes: runs do without', async () => {
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { searchAttributes: false });
      const [run] = await finished(world, 'restore', { script: { describeSource } });
      const { events } = await run.handle.fetchHistory();
      assert.ok((events ?? []).length > 0);
      const upserts = (events ?? []).filter((event) => event.upsertWorkflowSearchAttributesEventAttributes);
      assert.equal(upserts.length, 0);
    });

    await t.test('names and targets longer than the server takes in a summary hold nothing up', async () => {
      const target = { kind: 'name', name: 'ü"'.repeat(1000) };
      const [run] = await finished(world, 'restore', { input: { target } });
      assert.deepEqual(run.of('planRestore')[0]?.target, target);
    });
  });
});
