import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '@temporalio/activity';
import { refreshSignal } from '../../workflows/messages.ts';
import { failure } from '../../workflows/model/failure.ts';
import { hostQueue } from '../../workflows/model/names.ts';
import type { Attempt } from '../support/wal-runs.ts';
import { cancelled, streaming } from '../support/wal-runs.ts';
import { factsOf } from '../support/workflow-answers.ts';
import { withWorkflows } from '../support/workflow-env.ts';

test('several streams of one source', { timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('the second of two streams: a run of its own, on a host of its own, told apart', async () => {
      const queues: string[] = [];
      const attempts: Attempt = (attempt) => {
        queues.push(Context.current().info.taskQueue);
        if (attempt === 1) throw failure('Unavailable', 'server of the test is away');
      };
      const describeSource = async ({ source }: { source: string }) =>
        factsOf(source, { walStreams: 2, walHosts: ['db0', 'db1'] });
      const { run, lasting } = await streaming(world, attempts, { script: { describeSource }, input: { stream: 2 } });
      await lasting;
      assert.deepEqual(queues, [hostQueue('db1'), hostQueue('db1')]);
      // Of a host that is dead nobody comes for it: that is an attempt that failed, and is told like any other.
      const { events } = await run.handle.fetchHistory();
      const waits = (events ?? [])
        .map(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled)
        .filter((scheduled) => scheduled?.activityType?.name === 'streamWal')
        .map((scheduled) => Number(scheduled?.scheduleToStartTimeout?.seconds));
      assert.deepEqual(waits, [120, 120]);
      assert.deepEqual(run.of('streamWal')[0], { source: run.source, stream: 2 });
      assert.match((await run.progress()).timeline.map(({ what }) => what).join(), /server of the test is away/);
      await cancelled(run);
      const third = await world.start('wal', { script: { describeSource }, input: { stream: 3 } });
      await assert.rejects(third.handle.result(), (error: Error) => /has no stream 3/.test(String(error.cause)));
    });

    await t.test(
      'there are to be fewer: a surplus stream that is refreshed ends, and its slot is dropped',
      async () => {
        let walStreams = 2;
        const describeSource = async ({ source }: { source: string }) => factsOf(source, { walStreams });
        const again = Promise.withResolvers<void>();
        const attempts: Attempt = (attempt) => attempt === 2 && again.resolve();
        const first = await streaming(world, attempts, { script: { describeSource } });
        const second = await streaming(world, () => undefined, { script: { describeSource }, input: { stream: 2 } });
        await Promise.all([first.lasting, second.lasting]);
        walStreams = 1;
        for (const { run } of [first, second]) await run.handle.signal(refreshSignal);
        await second.run.handle.result();
        assert.deepEqual(second.run.of('dropStreamSlot'), [{ source: second.run.source, stream: 2 }]);
        const { outcome, timeline } = await second.run.progress();
        assert.deepEqual([outcome, timeline.at(-2)?.what], ['done', `slot lifeboat_${second.run.source}_2: dropped`]);
        await again.promise;
        assert.deepEqual(first.run.of('dropStreamSlot'), []);
        await cancelled(first.run);
      },
    );
  });
});
