import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '@temporalio/activity';
import { STEADY_MS } from '../../workflows/lib/trouble.ts';
import { newBaseSignal, progressQuery, refreshSignal } from '../../workflows/messages.ts';
import { failure } from '../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import { hostQueue, TASK_QUEUE } from '../../workflows/model/names.ts';
import type { BaseStart } from '../../workflows/model/wal-hole.ts';
import type { WalHole } from '../../workflows/model/wal.ts';
import { samplePoint } from '../support/sample-report.ts';
import type { Attempt } from '../support/wal-runs.ts';
import { cancelled, streaming } from '../support/wal-runs.ts';
import { factsOf } from '../support/workflow-answers.ts';
import type { TestRun } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const HOLE: WalHole = { systemId: '7', timeline: 2, from: '0/1000000', to: '0/3000000' };
const LATER: WalHole = { ...HOLE, from: '0/5000000', to: '0/6000000' };

function lost(hole: WalHole): never {
  throw failure('Integrity', `WAL from ${hole.from} to ${hole.to} is lost`, { evidence: { hole } });
}

const toldOf = ({ from, to }: WalHole, source: string): string =>
  `WAL from ${from} to ${to} is lost; a new base is needed: lifeboat backup ${source}`;

const passed = (run: TestRun): (WalHole | undefined)[] => run.of('streamWal').map(({ passHole }) => passHole);

const titles = (run: TestRun): string[] => run.of('notify').map(({ title }) => title);

/** As soon as the run has answered a query that comes behind it, a signal was dealt with. */
async function newBase(run: TestRun, ...base: unknown[]): Promise<string | undefined> {
  await run.handle.signal(newBaseSignal, ...(base as [BaseStart?]));
  return (await run.progress()).attention;
}

/** Waits until so many attempts have failed for good: the run pauses behind the last of them. */
async function paused(run: TestRun, failures: number): Promise<void> {
  const ended = ({ what }: { what: string }): boolean => what.startsWith('ended: ');
  while ((await run.progress()).timeline.filter(ended).length < failures);
}

test('wal', { timeout: 600_000 }, async (t) => {
  // A run of this size would take hours to continue as new by itself.
  const settings = ['limit.historyCount.suggestContinueAsNew=150'];
  await withWorkflows({ settings }, async (world) => {
    await t.test('what an archiver hands over is taken on the host of its server', async () => {
      const queues: string[] = [];
      const attempts: Attempt = () => queues.push(Context.current().info.taskQueue);
      const describeSource = async ({ source }: { source: string }) => factsOf(source, { walHost: 'db1' });
      const { run, lasting } = await streaming(world, attempts, { script: { describeSource } });
      await lasting;
      assert.deepEqual(queues, [hostQueue('db1')]);
      // A host that is gone is an attempt that failed, which people hear of, and none that worked.
      const { events } = await run.handle.fetchHistory();
      const waits = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
        scheduled?.activityType?.name === 'streamWal' ? [Number(scheduled.scheduleToStartTimeout?.seconds ?? 0)] : [],
      );
      assert.deepEqual(waits, [120]);
      assert.ok(120_000 < STEADY_MS);
      await cancelled(run);
    });

    await t.test('streams until it is cancelled, and says so', async () => {
      const { run, lasting } = await streaming(world, () => undefined);
      await lasting;
      const { step, outcome } = await run.progress();
      assert.deepEqual([step, outcome], ['stream', 'running']);
      await cancelled(run);
      assert.deepEqual(run.names(), ['describeSource', 'streamWal']);
    });

    await t.test('a hole: shown, told, passed, and forgotten when a base behind it is there', async () => {
      const { run, lasting } = await streaming(world, (attempt) => attempt === 1 && lost(HOLE));
      await lasting;
      assert.deepEqual(passed(run), [undefined, HOLE]);
      const said = toldOf(HOLE, run.source);
      assert.equal((await run.progress()).attention, said);
      assert.deepEqual(titles(run), [`hole in the WAL of ${run.source}`]);
      const behind = { systemId: '7', timeline: 2, startLsn: HOLE.to };
      const others: unknown[] = [
        { ...behind, startLsn: '0/2FFFFFF' },
        { ...behind, timeline: 1 },
        ...[{ timeline: 2, startLsn: 'later' }, { startLsn: HOLE.to }, 'a base', 7],
      ];
      for (const base of others) assert.equal(await newBase(run, base), said, JSON.stringify(base));
      assert.equal(await newBase(run, behind), undefined);
      await cancelled(run);
    });

    await t.test('a stream that fails does not hide that there is a hole, and the other way round', async () => {
      const denied = 'role of the test may not replicate';
      const shown: (string | undefined)[] = [];
      const { run, lasting } = await streaming(world, async (attempt, ours) => {
        if (attempt === 1) lost(HOLE);
        if (attempt === 2) throw failure('Denied', denied);
        shown.push((await ours.progress()).attention, await newBase(ours));
      });
      await lasting;
      assert.deepEqual(shown, [`${denied}; ${toldOf(HOLE, run.source)}`, denied]);
      await cancelled(run);
    });

    await t.test('a hole that a person closes: the signal without a base', async () => {
      for (const base of [[], [null]]) {
        const { run, lasting } = await streaming(world, (attempt) => attempt === 1 && lost(HOLE));
        await lasting;
        assert.equal(await newBase(run, ...base), undefined);
        await cancelled(run);
      }
    });

    await t.test(
      'another hole, or one that grew, is told before it is passed; one that is not passed is trouble',
      async () => {
        const grown = { ...LATER, to: '0/7000000' };
        const found = [HOLE, LATER, grown, grown];
        const { run, lasting } = await streaming(world, (attempt) => {
          const hole = found[attempt - 1];
          if (hole) lost(hole);
        });
        await lasting;
        assert.deepEqual(passed(run), [undefined, HOLE, LATER, grown, grown]);
        const hole = `hole in the WAL of ${run.source}`;
        assert.deepEqual(titles(run), [hole, hole, hole, `WAL of ${run.source} is not streamed`]);
        await cancelled(run);
      },
    );

    await t.test(
      'a server that drops WAL faster than it is asked for: a pause, and people are told once of it',
      async () => {
        const { run, lasting } = await streaming(world, (attempt) => {
          if (attempt <= 6) lost({ ...HOLE, to: `0/${attempt + 2}000000` });
        });
        await lasting;
        const { timeline, attention } = await run.progress();
        const starts = timeline.filter(({ what }) => what === 'stream').map(({ at }) => Date.parse(at));
        for (const [index, at] of starts.slice(4).entries()) assert.ok(at - (starts[index + 3] ?? 0) >= 60_000);
        assert.equal(titles(run).filter((title) => title === `WAL of ${run.source} is not streamed`).length, 1);
        assert.match(attention ?? '', /0\/1000000 to 0\/8000000 is lost/);
        await cancelled(run);
      },
    );

    await t.test('what cannot get better by itself: told once, tried again every minute', async () => {
      const { run, lasting } = await streaming(world, (attempt) => {
        if (attempt <= 4) throw failure('Denied', 'role of the test may not replicate');
      });
      await lasting;
      assert.deepEqual(passed(run), new Array(5).fill(undefined));
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
        script: { describeSource },
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

    await t.test('refreshed, or cancelled, in the pause between two attempts: it waits no longer', async () => {
      let place = 'db.example:5432';
      const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { place });
      const { run, lasting } = await streaming(
        world,
        (attempt) => {
          if (attempt !== 2) throw failure('Denied', 'role of the test may not replicate');
        },
        { script: { describeSource }, isInRealTime: true },
      );
      await paused(run, 1);
      place = 'new.example:5432';
      await run.handle.signal(refreshSignal);
      await lasting;
      assert.deepEqual(run.names().filter((name) => name !== 'notify'), ['describeSource', 'streamWal', 'describeSource', 'streamWal']); // prettier-ignore
      await run.handle.signal(refreshSignal);
      await paused(run, 2);
      await cancelled(run);
      assert.equal(run.of('streamWal').length, 3);
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

    await t.test('an open hole is carried into the run that goes on, and closed there', async () => {
      const first = Promise.withResolvers<string>();
      const { run, lasting } = await streaming(world, async (attempt, { handle }) => {
        if (attempt === 1) {
          first.resolve((await handle.describe()).runId);
          lost(HOLE);
        }
        if ((await handle.describe()).runId === (await first.promise)) throw failure('Denied', 'not now');
      });
      await lasting;
      assert.notEqual((await run.handle.describe()).runId, await first.promise);
      assert.equal((await run.progress()).attention, toldOf(HOLE, run.source));
      assert.deepEqual(passed(run).at(-1), HOLE);
      assert.equal(await newBase(run, { timeline: 2, startLsn: HOLE.to }), undefined);
      await cancelled(run);
    });

    await t.test('a backup tells the stream where its base begins: only one behind the hole closes it', async () => {
      const { systemId, timeline, startLsn } = samplePoint();
      const beyond = { systemId, timeline, from: '0/1', to: formatLsn(parseLsn(startLsn) + 1n) };
      for (const hole of [beyond, { ...beyond, to: startLsn }]) {
        const { run, lasting } = await streaming(world, (attempt) => attempt === 1 && lost(hole));
        await lasting;
        const backup = await world.start('backup', { order: () => ({ source: run.source }) });
        await backup.handle.result();
        const { attention, timeline: told } = await run.progress();
        const isLeft = hole === beyond;
        assert.equal(attention, isLeft ? toldOf(hole, run.source) : undefined);
        const said = `a base from ${startLsn} on timeline ${timeline} begins before the hole's end`;
        assert.equal(told.some(({ what }) => what === said), isLeft); // prettier-ignore
        await cancelled(run);
      }
    });

    await t.test('what a run hands to the next one is nothing to type', async () => {
      const open = { hole: HOLE, said: 'typed' };
      const run = await world.start('wal', { order: (source) => ({ source, open }) });
      await assert.rejects(run.handle.result(), (error: Error) => /unknown key "open"/.test(String(error.cause)));
      const workflowId = 'wal/typed';
      const args = [{ source: 'typed' }, open];
      const handle = await world.client.workflow.start('wal', { workflowId, taskQueue: TASK_QUEUE, args });
      assert.equal((await handle.query(progressQuery)).attention, undefined);
      await handle.terminate();
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
          script: {
            describeSource: ({ source }) => {
              if (++asked > 1 && asked < 4) throw unknown;
              return factsOf(source);
            },
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
