import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplicationFailure } from '@temporalio/common';
import { failure } from '../../workflows/model/failure.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import { factsOf, pointsVerified, walVerified } from '../support/workflow-answers.ts';
import { sampleResult } from '../support/sample-report.ts';
import type { TestRun } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

/** Not there yet: the retries of an activity are what time leaps over. */
function away(): ApplicationFailure {
  return failure('Unavailable', 'server of the test is away');
}

test('workflows that wait', { timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('RTO clock: a warning at 75 %, an alarm at 100 %, and the recovery goes on', async () => {
      let run: TestRun = undefined as never;
      const script = {
        describeSource: ({ source }: { source: string }) => factsOf(source, { rtoMs: 400_000 }),
        replayWal: () => {
          if (run.of('notify').length < 2) throw away();
          return sampleResult().replay;
        },
      };
      run = await world.start('restore', { script });
      const result = (await run.handle.result()) as RestoreResult;
      const [warning, alarm, ...more] = run.of('notify');
      assert.equal(more.length, 0);
      assert.equal(warning?.severity, 'warning');
      assert.equal(warning?.title, `restore of ${run.source}: 75 % of the RTO of 6m40s is used`);
      assert.equal(warning?.body, 'It is at: replay. It goes on.');
      assert.equal(alarm?.severity, 'critical');
      assert.equal(alarm?.title, `restore of ${run.source}: the RTO of 6m40s is missed`);
      assert.notEqual(warning?.key, alarm?.key);
      assert.ok(result.rtoMs >= 400_000, `${result.rtoMs} ms`);
      const { rto, outcome, timeline, startedAt } = await run.progress();
      assert.equal(outcome, 'done');
      assert.deepEqual([rto?.warned, rto?.escalated], [true, true]);
      const toldAfterMs = (what: RegExp): number =>
        Date.parse(timeline.find((entry) => what.test(entry.what))?.at ?? '') - Date.parse(startedAt);
      assert.ok(toldAfterMs(/^75 %/) >= 300_000 && toldAfterMs(/^75 %/) < 400_000);
      assert.ok(toldAfterMs(/is missed$/) >= 400_000);
    });

    await t.test('RTO clock: stands still when the cluster is proven', async () => {
      let failures = 0;
      const script = {
        describeSource: ({ source }: { source: string }) => factsOf(source, { rtoMs: 60_000 }),
        finishRestore: () => {
          if (++failures < 8) throw away();
        },
      };
      const run = await world.start('restore', { script });
      await run.handle.result();
      const { timeline } = await run.progress();
      const lastedMs = Date.parse(timeline.at(-1)?.at ?? '') - Date.parse(timeline[0]?.at ?? '');
      assert.ok(lastedMs > 60_000, `${lastedMs} ms`);
      assert.deepEqual(run.of('notify'), []);
    });

    await t.test('a full disk: people are told once, and it goes on by itself when there is room', async () => {
      let attempts = 0;
      const fullDisk = { path: '/srv/shop', freeBytes: 4096 };
      const script = {
        replayWal: () => {
          if (++attempts <= 4) throw failure('Precondition', 'disk of the test is full', { evidence: { fullDisk } });
          return sampleResult().replay;
        },
      };
      const run = await world.start('restore', { script });
      assert.ok(((await run.handle.result()) as RestoreResult).proof.ok);
      const [notice, ...more] = run.of('notify');
      assert.deepEqual(more, []);
      assert.equal(notice?.severity, 'critical');
      assert.equal(notice?.title, `restore of ${run.source} waits for room on a disk`);
      assert.match(notice?.body ?? '', /^the disk of \/srv\/shop is full \(4.* free\): free space there/);
      assert.ok(!run.names().includes('discardRestore'));
      assert.equal((await run.progress()).attention, undefined);
    });

    await t.test('a notifier that is down stops no run, and the run says that nobody was told', async () => {
      for (const error of [away(), failure('Denied', 'token of the test is refused')]) {
        const script = {
          describeSource: ({ source }: { source: string }) => factsOf(source, { rtoMs: 30_000 }),
          replayWal: () => {
            if (++failures < 7) throw away();
            return sampleResult().replay;
          },
          notify: () => {
            throw error;
          },
        };
        let failures = 0;
        const run = await world.start('restore', { script });
        assert.ok(((await run.handle.result()) as RestoreResult).proof.ok);
        const { outcome, timeline } = await run.progress();
        assert.equal(outcome, 'done');
        if (error.nonRetryable) assert.ok(timeline.some(({ what }) => what.startsWith('nobody could be told: ')));
      }
    });

    await t.test('a notifier that fails while others hear is named', async () => {
      const script = {
        takeBackup: () => {
          throw failure('Integrity', 'disk of the test is broken');
        },
        notify: () => ({ told: ['mail'], failed: ['pager'] }),
      };
      const run = await world.start('backup', { script });
      await assert.rejects(run.handle.result());
      const { timeline } = await run.progress();
      assert.ok(timeline.some(({ what }) => what === 'not told: pager'));
    });

    await t.test('a source without notifiers: nothing is sent', async () => {
      const script = {
        describeSource: ({ source }: { source: string }) => factsOf(source, { notify: false }),
        takeBackup: () => {
          throw failure('Integrity', 'disk of the test is broken');
        },
      };
      const run = await world.start('backup', { script });
      await assert.rejects(run.handle.result());
      assert.deepEqual(run.of('notify'), []);
    });

    for (const step of ['awaitStreaming', 'awaitWal'] as const) {
      await t.test(`backup: says after a minute what it waits for in ${step}, and takes it back`, async () => {
        let run: TestRun = undefined as never;
        const attention: (string | undefined)[] = [];
        const script = {
          [step]: async () => {
            attention.push((await run.progress()).attention);
            if (attention.at(-1) === undefined) throw away();
          },
        };
        run = await world.start('backup', { script, isStreaming: true });
        await run.handle.result();
        const look = `lifeboat wal ${run.source}, lifeboat status wal/${run.source}`;
        const said = `the WAL of ${run.source} does not arrive, the backup waits for it: ${look}`;
        assert.equal(attention.at(-1), said);
        assert.ok(attention.length > 5, `${attention.length} attempts`);
        assert.equal((await run.progress()).attention, undefined);
        assert.deepEqual(run.of('notify').map(({ severity }) => severity), ['warning']); // prettier-ignore
      });
    }

    await t.test('a cleanup that nobody does is shown after five minutes, and done when somebody can', async () => {
      let run: TestRun = undefined as never;
      const attention: (string | undefined)[] = [];
      const script = {
        fetchBase: () => {
          throw failure('Integrity', 'part of the test is damaged');
        },
        discardRestore: async () => {
          attention.push((await run.progress()).attention);
          if (attention.at(-1) === undefined) throw away();
        },
      };
      run = await world.start('restore', { script });
      await assert.rejects(run.handle.result());
      assert.match(attention.at(-1) ?? '', /^not done yet: remove the unfinished restore; .*lifeboat status$/);
      // People knew of the failure before the cleanup began.
      assert.ok(run.names().indexOf('notify') < run.names().lastIndexOf('discardRestore'));
      assert.equal((await run.progress()).attention, undefined);
    });

    await t.test('a mistake in a program is not made again and again', async () => {
      const script = {
        takeBackup: () => {
          throw new TypeError('undefined is not a function');
        },
      };
      const run = await world.start('backup', { script });
      await assert.rejects(run.handle.result());
      assert.equal(run.of('takeBackup').length, 1);
      assert.match((await run.progress()).step, /undefined is not a function/);
    });

    for (const workflow of ['restore', 'drill']) {
      const isKept = workflow === 'restore';
      await t.test(
        `${workflow}: not proven is failed, with the evidence; the copy is ${isKept ? 'kept' : 'removed'}`,
        async () => {
          const check = { name: 'checksums', ok: false, expected: '0 bad pages', found: '3 bad pages' };
          const proof = { ...sampleResult().proof, ok: false, checks: [...sampleResult().proof.checks, check] };
          const run = await world.start(workflow, { script: { proveCluster: () => proof } });
          const error = await run.handle.result().then(() => assert.fail('it is done'), (thrown: Error) => thrown); // prettier-ignore
          const cause = error.cause as Error & { type: string; details: unknown[] };
          assert.equal(cause.type, 'Integrity');
          assert.match(cause.message, /^recovered cluster of .* is not proven: checksums \(hint: /);
          assert.deepEqual(cause.details[1], proof);
          assert.equal(run.of('discardRestore').length, isKept ? 0 : 1);
          const [report] = run.of('writeReport');
          assert.equal(report?.outcome, 'failed');
          assert.equal(report?.failure?.found, '3 bad pages');
          assert.equal((await run.progress()).outcome, 'failed');
        },
      );
    }

    await t.test('verifyAll: what is damaged is told all together, at the end, and to people', async () => {
      const damaged = [{ point: 'p1', reason: 'part 3 is missing' }];
      const fault = { place: 'shop/wal/7/00000001/a-b', timeline: 1, fromLsn: '0/1', toLsn: '0/2' };
      const faults = [{ ...fault, what: 'record checksum', expected: 'aa', found: 'bb' }];
      const holes = [{ systemId: '7', timeline: 1, fromLsn: '0/5', toLsn: '0/6', bytes: 1 }];
      const script = {
        verifyPoints: ({ source }: { source: string }) => pointsVerified(source, { damaged, damagedCount: 1 }),
        verifyWal: ({ source }: { source: string }) =>
          walVerified(source, { ok: false, faults, faultCount: 1, holes, holeCount: 1 }),
      };
      const run = await world.start('verifyAll', { script });
      const error = await run.handle.result().then(() => assert.fail('it is done'), (thrown: Error) => thrown); // prettier-ignore
      const cause = error.cause as Error & {
        type: string;
        details: [{ found: string }, { checks: { name: string; ok: boolean }[] }];
      };
      assert.equal(cause.type, 'Integrity');
      assert.equal(
        cause.details[0].found,
        '1 of 2 points are damaged, 1 objects are wrong, 1 holes have no base behind them',
      );
      const wrong = cause.details[1].checks.filter(({ ok }) => !ok).map(({ name }) => name);
      for (const name of ['p1', fault.place, 'hole 0/5 to 0/6 on timeline 1']) assert.ok(wrong.includes(name), name);
      assert.equal(run.of('notify')[0]?.severity, 'critical');
    });

    await t.test('compactWal: pieces that do not agree are an alarm', async () => {
      const fault = { place: 'shop/wal/7/00000001/a-b', timeline: 1, fromLsn: '0/1', toLsn: '0/2' };
      const faults = [{ ...fault, what: 'bytes', expected: 'the same bytes', found: 'others' }];
      const script = {
        compactWal: ({ source }: { source: string }) => ({
          ...{ source, objects: 0, pieces: 0, faults, faultCount: 1, refused: [] },
        }),
      };
      const run = await world.start('compactWal', { script });
      await assert.rejects(run.handle.result(), (error: Error) => /cannot be compacted/.test(String(error.cause)));
      assert.equal(run.of('notify')[0]?.severity, 'critical');
    });

    await t.test('verify: a point that is not whole is failed, with what was found', async () => {
      const checks = [{ name: 'part 3', ok: false, expected: 'sha256 aa', found: 'sha256 bb' }];
      const script = { verifyPoint: () => ({ point: {}, parts: 3, bytes: 1, storedBytes: 1, checks }) };
      const run = await world.start('verify', { input: { point: 'p1' }, script });
      await assert.rejects(run.handle.result(), (error: Error) => /p1 is not whole: part 3/.test(String(error.cause)));
      assert.equal(run.of('notify')[0]?.severity, 'critical');
    });
  });
});
