import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { failure } from '../../workflows/model/failure.ts';
import { TASK_QUEUE } from '../../workflows/model/names.ts';
import type { WalHole } from '../../workflows/model/wal.ts';
import { samplePoint } from '../support/sample-report.ts';
import { answers, factsOf, pointOf, untilCancelled } from '../support/workflow-answers.ts';
import type { Script, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const { systemId, timeline, startLsn } = samplePoint();
const HOLE: WalHole = { systemId, timeline, from: '0/1000000', to: startLsn };

interface Story {
  /** Whether an attempt to stream behind the hole fails, so that time leaps to the next. */
  fails?(run: TestRun): unknown;
  newBaseAfterHole?: boolean;
  script?: Script;
  /** While the first attempt streams; then it meets the hole. */
  before?(run: TestRun): Promise<unknown>;
}

/** A stream that meets a hole; resolves when an attempt behind it lasts. */
async function behindHole(world: WorkflowWorld, story: Story): Promise<TestRun> {
  const { fails = () => false, newBaseAfterHole = true } = story;
  const lasting = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<TestRun>();
  let attempt = 0;
  const run = await world.start('wal', {
    script: {
      describeSource: ({ source }) => factsOf(source, { newBaseAfterHole }),
      ...story.script,
      streamWal: async () => {
        const ours = await gate.promise;
        if (++attempt === 1) {
          await story.before?.(ours);
          throw failure('Integrity', 'WAL is lost', { evidence: { hole: HOLE } });
        }
        if (await fails(ours)) throw failure('Denied', 'not now');
        lasting.resolve();
        await untilCancelled();
      },
    },
  });
  gate.resolve(run);
  await lasting.promise;
  return run;
}

/** Between two looks at a run that goes on beside us. */
const LOOK_MS = 100;

const titles = (run: TestRun): string[] => run.of('notify').map(({ title }) => title);

/** Waits for a message: it goes out beside the run. */
async function told(run: TestRun, title: RegExp): Promise<void> {
  while (!titles(run).some((each) => title.test(each))) await pause(LOOK_MS);
}

/** Waits until people hear that the hole is behind a base. */
const closed = (run: TestRun): Promise<void> => told(run, /^new base of .* behind the hole/);

/** True when the run has seen that a backup runs. */
async function isSeen(run: TestRun): Promise<boolean> {
  return (await run.progress()).timeline.some(({ what }) => what === `backup/${run.source} is running`);
}

type Take = NonNullable<Script['takeBackup']>;

/** A backup that somebody else started before the hole, and that takes until it is released. A child would keep time from leaping. */
function slowBackup(
  world: WorkflowWorld,
  take: Take,
): { story: Required<Pick<Story, 'script' | 'before'>>; release(): void } {
  const running = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let taken = 0;
  return {
    story: {
      script: {
        takeBackup: async (given) => {
          if (++taken > 1) return answers.takeBackup(given);
          running.resolve();
          await released.promise;
          return take(given);
        },
      },
      before: async ({ source }) => {
        const args = [{ source }];
        await world.client.workflow.start('backup', { workflowId: `backup/${source}`, taskQueue: TASK_QUEUE, args });
        await running.promise;
      },
    },
    release: () => released.resolve(),
  };
}

const broken = (): never => {
  throw failure('Integrity', 'disk of the test is broken');
};

test('a hole orders a new base', { timeout: 600_000 }, async (t) => {
  const settings = ['limit.historyCount.suggestContinueAsNew=150'];
  await withWorkflows({ settings }, async (world) => {
    await t.test('once, and people hear of both with what can be restored', async () => {
      const run = await behindHole(world, {});
      await closed(run);
      assert.equal((await run.progress()).attention, undefined);
      assert.equal(run.of('takeBackup').length, 1);
      const { label, type } = run.of('takeBackup')[0] ?? {};
      assert.deepEqual([label, type], ['after a hole in the WAL', undefined]);
      const [first, last] = run.of('notify');
      assert.match(first?.title ?? '', /^hole in the WAL/);
      assert.match(first?.body ?? '', new RegExp(`it is ordered, backup/${run.source}$`));
      assert.deepEqual([first?.windows, last?.windows], [true, true]);
      await run.handle.terminate();
    });

    await t.test(
      'not beside one that runs; the base of that one closes the hole when it begins behind it',
      async () => {
        const slow = slowBackup(world, answers.takeBackup);
        const run = await behindHole(world, { ...slow.story, fails: async (ours) => !(await isSeen(ours)) });
        slow.release();
        await closed(run);
        assert.equal(run.of('takeBackup').length, 1);
        await run.handle.terminate();
      },
    );

    await t.test('when the one that ran has failed', async () => {
      const slow = slowBackup(world, broken);
      const run = await behindHole(world, {
        ...slow.story,
        fails: async (ours) => {
          if (await isSeen(ours)) slow.release();
          return ours.of('takeBackup').length < 2;
        },
      });
      await closed(run);
      assert.equal(run.of('takeBackup').length, 2);
      await run.handle.terminate();
    });

    await t.test('goes on being wanted in the run that continues this one, and is not ordered twice', async () => {
      const slow = slowBackup(world, answers.takeBackup);
      const first = Promise.withResolvers<string>();
      const run = await behindHole(world, {
        ...slow.story,
        before: async (ours) => {
          first.resolve((await ours.handle.describe()).runId);
          await slow.story.before(ours);
        },
        fails: async ({ handle }) => (await handle.describe()).runId === (await first.promise),
      });
      while (!(await isSeen(run))) await pause(LOOK_MS);
      assert.match((await run.progress()).attention ?? '', /it is ordered/);
      slow.release();
      await closed(run);
      assert.equal(run.of('takeBackup').length, 1);
      await run.handle.terminate();
    });

    await t.test('a few times when none of them closes it, and people hear that it stays open', async () => {
      let since = 0;
      const run = await behindHole(world, {
        script: { publishPoint: async ({ source }) => ({ ...pointOf(source), startLsn: '0/0' }) },
        // Longer than the longest pause between the orders so far.
        fails: (ours) => ours.of('publishPoint').length < 3 || ++since < 12,
      });
      await told(run, /^hole in the WAL of .* stays open/);
      assert.equal(run.of('takeBackup').length, 3);
      const last = run.of('notify').find(({ title }) => title.endsWith('stays open'));
      assert.match(last?.body ?? '', /no more are ordered/);
      assert.match((await run.progress()).attention ?? '', /no more are ordered/);
      assert.ok(!titles(run).some((title) => title.startsWith('new base of')));
      await run.handle.terminate();
    });

    await t.test('once when the source is another cluster by now, and people hear what to do', async () => {
      let since = 0;
      const run = await behindHole(world, {
        script: {
          checkBackup: () => {
            const evidence = { otherCluster: { expected: '7', found: '8' } };
            throw failure('Precondition', 'it is another cluster', { hint: 'name it anew', evidence });
          },
        },
        // Longer than several pauses between orders.
        fails: (ours) => ours.of('checkBackup').length < 1 || ++since < 12,
      });
      await told(run, /^hole in the WAL of .* stays open/);
      assert.equal(run.of('checkBackup').length, 1);
      const last = run.of('notify').find(({ title }) => title.endsWith('stays open'));
      const said = 'no more bases are ordered: it is another cluster (hint: name it anew)';
      assert.equal(last?.body, said);
      assert.ok((await run.progress()).attention?.endsWith(said));
      await run.handle.terminate();
    });

    await t.test('a base of another cluster closes it, wherever it begins: none of its own ever comes', async () => {
      const run = await behindHole(world, {
        script: { publishPoint: async ({ source }) => ({ ...pointOf(source), systemId: '8', startLsn: '0/0' }) },
      });
      await closed(run);
      assert.equal(run.of('takeBackup').length, 1);
      await run.handle.terminate();
    });

    await t.test('unless the source does not want it: then it is said how', async () => {
      const run = await behindHole(world, { newBaseAfterHole: false });
      assert.match((await run.progress()).attention ?? '', /a new base is needed: lifeboat backup/);
      await told(run, /^hole in the WAL/);
      assert.deepEqual(run.of('takeBackup'), []);
      await run.handle.terminate();
    });
  });
});
