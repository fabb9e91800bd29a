import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CancelledFailure } from '@temporalio/client';
import { newBaseSignal, refreshSignal } from '../../workflows/messages.ts';
import { failure } from '../../workflows/model/failure.ts';
import { factsOf, untilCancelled } from '../support/workflow-answers.ts';
import type { StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

type Attempt = (attempt: number, run: TestRun) => unknown;

/** Starts `wal`; `attempts` says how its attempts to stream end, the last one of them lasts. */
async function streaming(
  world: WorkflowWorld,
  attempts: Attempt,
  script: StartOptions['script'] = {},
): Promise<{ run: TestRun; lasting: Promise<void> }> {
  const lasting = Promise.withResolvers<void>();
  let run: TestRun = undefined as never;
  let attempt = 0;
  const streamWal = async (): Promise<void> => {
    await attempts(++attempt, run);
    lasting.resolve();
    await untilCancelled();
  };
  const gate = Promise.withResolvers<void>();
  run = await world.start('wal', { script: { ...script, streamWal }, before: () => gate.promise });
  gate.resolve();
  return { run, lasting: lasting.promise };
}

async function cancelled(run: TestRun): Promise<void> {
  await run.handle.cancel();
  await assert.rejects(run.handle.result(), (error: Error) => error.cause instanceof CancelledFailure);
  assert.equal((await run.progress()).outcome, 'cancelled');
}

test('wal', { timeout: 240_000 }, async (t) => {
  // A run of this size would take hours to continue as new by itself.
  const settings = ['limit.historyCount.suggestContinueAsNew=150'];
  await withWorkflows({ settings }, async (world) => {
    await t.test('streams until it is cancelled, and says so', async () => {
      const { run, lasting } = await streaming(world, () => undefined);
      await lasting;
      const { step, outcome } = await run.progress();
      assert.deepEqual([step, outcome], ['stream', 'running']);
      await cancelled(run);
      assert.deepEqual(run.names(), ['describeSource', 'streamWal']);
    });

    await t.test('a hole: shown, told, passed, and forgotten when a new base is there', async () => {
      const { run, lasting } = await streaming(world, (attempt) => {
        if (attempt === 1)
          throw failure('Integrity', 'WAL from 0/1 to 0/2 is lost', { evidence: { hole: { from: '0/1', to: '0/2' } } });
      });
      await lasting;
      assert.deepEqual(run.of('streamWal').map(({ acceptGap }) => acceptGap), [false, true]); // prettier-ignore
      const hole = `WAL from 0/1 to 0/2 is lost; a new base is needed: lifeboat backup ${run.source}`;
      assert.equal((await run.progress()).attention, hole);
      assert.equal(run.of('notify')[0]?.title, `hole in the WAL of ${run.source}`);
      await run.handle.signal(newBaseSignal);
      assert.equal((await run.progress()).attention, undefined);
      await cancelled(run);
    });

    await t.test('what cannot get better by itself: told once, tried again every minute', async () => {
      const { run, lasting } = await streaming(world, (attempt) => {
        if (attempt <= 4) throw failure('Denied', 'role of the test may not replicate');
      });
      await lasting;
      assert.deepEqual(run.of('streamWal').map(({ acceptGap }) => acceptGap), new Array(5).fill(false)); // prettier-ignore
      const { attention, timeline } = await run.progress();
      assert.equal(attention, 'role of the test may not replicate');
      assert.deepEqual(run.of('notify').map(({ title }) => title), [`WAL of ${run.source} is not streamed`]); // prettier-ignore
      const starts = timeline.filter(({ what }) => what === 'stream').map(({ at }) => Date.parse(at));
      for (const [index, at] of starts.slice(1).entries()) assert.ok(at - (starts[index] ?? 0) >= 60_000);
      await cancelled(run);
    });

    await t.test('a server that is away: tried again soon, told after a minute', async () => {
      const { run, lasting } = await streaming(world, (_, { of }) => {
        if (of('notify').length === 0) throw failure('Unavailable', 'server of the test is away');
      });
      await lasting;
      const [notice] = run.of('notify');
      assert.equal(notice?.title, `WAL of ${run.source} is not streamed`);
      const { attention, startedAt, timeline } = await run.progress();
      assert.equal(attention, 'server of the test is away');
      const first = timeline.find(({ what }) => what.startsWith('ended: '))?.at ?? startedAt;
      assert.ok(Date.parse(notice.at) - Date.parse(first) >= 60_000);
      const soon = timeline.filter(({ what, at }) => what === 'stream' && Date.parse(at) < Date.parse(notice.at));
      assert.ok(soon.length >= 5, `${soon.length} attempts before people were told`);
      await cancelled(run);
    });

    await t.test('a short absence is nobody’s business', async () => {
      const { run, lasting } = await streaming(world, (attempt) => {
        if (attempt <= 3) throw failure('Unavailable', 'server of the test is away');
      });
      await lasting;
      assert.equal((await run.progress()).attention, undefined);
      assert.deepEqual(run.of('notify'), []);
      await cancelled(run);
    });

    await t.test('refresh: the attempt ends cleanly, the next one sees the configuration of now', async () => {
      let place = 'db.example:5432';
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { place });
      const seen: string[] = [];
      const again = Promise.withResolvers<void>();
      const { run, lasting } = await streaming(world, (attempt) => attempt === 2 && again.resolve(), {
        describeSource,
      });
      await lasting;
      place = 'new.example:5432';
      await run.handle.signal(refreshSignal);
      await again.promise;
      const { events } = await run.handle.fetchHistory();
      for (const event of events ?? []) {
        const summary = event.userMetadata?.summary?.data;
        if (summary) seen.push(String(Buffer.from(summary)));
      }
      assert.ok(seen.includes('"stream the WAL of new.example:5432"'), seen.join());
      assert.equal((await run.progress()).attention, undefined);
      assert.deepEqual(run.of('notify'), []);
      await cancelled(run);
    });

    await t.test('goes on under a new run id before its history is too long; people are told before', async () => {
      const first = Promise.withResolvers<string>();
      const { run, lasting } = await streaming(world, async (attempt, { handle }) => {
        if (attempt === 1) first.resolve((await handle.describe()).runId);
        if ((await handle.describe()).runId === (await first.promise)) {
          throw failure('Denied', 'role of the test may not replicate');
        }
      });
      await lasting;
      const { runId } = await run.handle.describe();
      assert.notEqual(runId, await first.promise);
      const before = world.client.workflow.getHandle(run.handle.workflowId, await first.promise);
      assert.equal((await before.describe()).status.name, 'CONTINUED_AS_NEW');
      await cancelled(run);
    });

    await t.test('a continued run whose source a worker does not know waits; a new one refuses', async () => {
      const unknown = failure('NotFound', 'source of the test is not configured');
      const refused = await world.start('wal', { script: { describeSource: () => { throw unknown; } } }); // prettier-ignore
      await assert.rejects(refused.handle.result());
      assert.equal((await refused.progress()).outcome, 'failed');

      let asked = 0;
      const first = Promise.withResolvers<string>();
      const { run, lasting } = await streaming(
        world,
        async (attempt, { handle }) => {
          if (attempt === 1) first.resolve((await handle.describe()).runId);
          if ((await handle.describe()).runId === (await first.promise)) throw failure('Denied', 'not now');
        },
        {
          describeSource: ({ source }) => {
            if (++asked > 1 && asked < 4) throw unknown;
            return factsOf(source);
          },
        },
      );
      await lasting;
      assert.equal(asked, 4);
      assert.equal((await run.progress()).attention, undefined);
      await cancelled(run);
    });
  });
});
