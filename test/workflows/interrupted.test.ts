import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '@temporalio/activity';
import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { dumpAnswers, untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

/** The workflows that end, with what a run of each needs. The first word is the type. */
const WORKFLOWS: Record<string, StartOptions> = {
  backup: {},
  'backup of dumps': { script: dumpAnswers },
  restore: {},
  'restore of dumps': { script: dumpAnswers },
  drill: {},
  verify: { input: { point: 'p1' } },
  verifyAll: {},
  verifyWal: {},
  compactWal: {},
  extract: { input: { point: 'p1', file: 'PG_VERSION', to: '/srv/version' } },
  retention: {},
  hold: { input: { point: 'p1', reason: 'case 12' } },
};
const AT_ONCE = 6;

const typeOf = (workflow: string): string => workflow.split(' ')[0] ?? '';

/** What is made from this step on, and what takes it back. */
const UNDO: Partial<Record<ActivityName, ActivityName>> = {
  takeBackup: 'discardDrafts',
  prepareTarget: 'discardRestore',
  extractFiles: 'discardExtract',
};
/** Steps that a cancellation does not interrupt: by then there is nothing to stop. */
const LAST: readonly ActivityName[] = ['writeReport', 'discardRestore', 'discardDrafts', 'discardExtract'];

interface Case {
  workflow: string;
  index: number;
  /** Activities of a good run, in order. */
  good: ActivityName[];
}

function undoneBy({ good, index }: Case): ActivityName[] {
  return good.slice(0, index + 1).flatMap((name) => UNDO[name] ?? []);
}

/** Activities that take something back, as the run called them; a drill calls its own in good runs too. */
function undone(run: TestRun): ActivityName[] {
  return run.names().filter((name) => Object.values(UNDO).includes(name));
}

async function outcomeOf(run: TestRun): Promise<{ outcome: string; cause?: unknown }> {
  try {
    await run.handle.result();
    return { outcome: 'done' };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return { outcome: error.cause instanceof CancelledFailure ? 'cancelled' : 'failed', cause: error.cause };
  }
}

/** Every step of every workflow, from a good run of each. */
async function cases(world: WorkflowWorld): Promise<Case[]> {
  const all: Case[] = [];
  for (const [workflow, options] of Object.entries(WORKFLOWS)) {
    const run = await world.start(typeOf(workflow), options);
    await run.handle.result();
    const good = run.names();
    all.push(...good.map((_, index) => ({ workflow, index, good })));
  }
  return all;
}

async function each(all: Case[], check: (one: Case) => Promise<void>): Promise<void> {
  const left = all.slice();
  const lane = async (): Promise<void> => {
    for (let one = left.shift(); one; one = left.shift()) {
      const { workflow, index, good } = one;
      await check(one).catch((error: unknown) => {
        throw new Error(`${workflow} at ${good[index]} (step ${index}): ${String(error)}`, { cause: error });
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

/** Starts a run and cancels it while its activity `index` works; `obeys` says whether that one stops. */
async function cancelledAt(world: WorkflowWorld, { workflow, index, good }: Case, obeys: boolean): Promise<TestRun> {
  const reached = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const name = good[index] as ActivityName;
  const before = async (at: number): Promise<void> => {
    if (at !== index) return;
    reached.resolve();
    if (LAST.includes(name)) return asked.promise;
    await untilCancelled().catch((error: unknown) => {
      assert.ok(Context.current().cancellationSignal.aborted);
      if (obeys) throw error;
    });
  };
  const run = await world.start(typeOf(workflow), { ...WORKFLOWS[workflow], before });
  await reached.promise;
  await run.handle.cancel();
  asked.resolve();
  return run;
}

/** A step that does its work although it was told to stop: the run ends as if it had not been cancelled only behind the last one. */
function isOver({ good, index, workflow }: Case, obeys: boolean): boolean {
  const name = good[index] as ActivityName;
  if (LAST.includes(name)) return true;
  const last: Record<string, ActivityName> = {
    ...{ backup: 'publishPoint', restore: 'finishRestore', drill: 'finishRestore', verify: 'verifyPoint' },
    extract: 'extractFiles',
    ...{ verifyAll: 'verifyWal', verifyWal: 'verifyWal', compactWal: 'compactWal' },
    ...{ retention: 'removeWal', hold: 'markPoint' },
  };
  return !obeys && name === last[typeOf(workflow)];
}

/** What somebody waits for, or what is wrong with what is stored, is a P1; what the next run may mend a P2. */
function severityOf(workflow: string): string {
  const later = ['backup', 'drill', 'retention', 'hold', 'extract'];
  return later.includes(typeOf(workflow)) ? 'error' : 'critical';
}

test('workflows interrupted at every step', { timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const all = await cases(world);
    assert.ok(all.length > 25, `${all.length} steps`);

    for (const obeys of [true, false]) {
      const title = obeys ? 'a step that stops' : 'a step that ends its work first';
      await t.test(`cancelled in ${title}: what was made is taken back, and the journal says so`, async () => {
        await each(all, async (one) => {
          const run = await cancelledAt(world, one, obeys);
          const { outcome } = await outcomeOf(run);
          const { outcome: told, step } = await run.progress();
          assert.equal(told, outcome);
          assert.equal(step, outcome);
          if (isOver(one, obeys)) {
            assert.equal(outcome, 'done');
            assert.deepEqual(run.names(), one.good);
          } else {
            assert.equal(outcome, 'cancelled');
            // What a step makes is taken back when the step may have begun, and the one behind `index` was about to.
            const undo = undoneBy(obeys ? one : { ...one, index: one.index + 1 });
            assert.deepEqual(undone(run), undo);
            assert.deepEqual(run.names(), [...one.good.slice(0, one.index + 1), ...undo]);
          }
          assert.match(await run.details(), new RegExp(`\\(${outcome}\\)`));
        });
      });
    }

    await t.test(
      'failed for good at every step: what was made is taken back, people are told, the run says why',
      async () => {
        await each(all, async (one) => {
          const name = one.good[one.index] as ActivityName;
          const before = (at: number): void => {
            if (at === one.index) throw failure('Integrity', 'disk of the test is broken', { hint: 'mend it' });
          };
          const run = await world.start(typeOf(one.workflow), { ...WORKFLOWS[one.workflow], before });
          const { outcome, cause } = await outcomeOf(run);
          const { outcome: told, step, attention } = await run.progress();
          assert.equal(told, outcome);
          const notices = run.of('notify');
          if (name === 'writeReport' || name === 'discardRestore' || name === 'discardExtract') {
            assert.equal(outcome, 'done');
            assert.equal(notices.length, name === 'discardRestore' ? 1 : 0);
            return;
          }
          assert.equal(outcome, 'failed');
          assert.equal(failureTypeOf(cause), 'Integrity');
          assert.match(step, /^disk of the test is broken/);
          // Until a worker has said who the source is, nobody knows whom to tell.
          assert.deepEqual(notices.map(({ severity }) => severity), one.index === 0 ? [] : [severityOf(one.workflow)]); // prettier-ignore
          const isKept = typeOf(one.workflow) === 'restore' && (name === 'proveCluster' || name === 'finishRestore');
          assert.deepEqual(undone(run), isKept ? [] : undoneBy(one));
          assert.equal(attention?.startsWith('the recovered copy is kept'), isKept ? true : undefined);
        });
      },
    );

    await t.test('a cancelled backup leaves the stream alone that it started', async () => {
      const index = all.find(({ good, index, workflow }) => workflow === 'backup' && good[index] === 'takeBackup');
      const run = await cancelledAt(world, index as Case, true);
      assert.equal((await outcomeOf(run)).outcome, 'cancelled');
      const stream = world.client.workflow.getHandle(`wal/${run.source}`);
      const { raw } = await stream.describe();
      assert.equal(raw.workflowExtendedInfo?.cancelRequested, false);
    });

    await t.test('what cannot be taken back is said, and the failure of the run stays its reason', async () => {
      const broken = (): never => {
        throw failure('Denied', 'folder of the test is locked');
      };
      for (const [workflow, script] of [
        ['backup', { takeBackup: broken, discardDrafts: broken }],
        ['restore', { fetchBase: broken, discardRestore: broken }],
      ] as const) {
        const run = await world.start(workflow, { script });
        const { outcome, cause } = await outcomeOf(run);
        assert.equal(outcome, 'failed');
        assert.equal(failureTypeOf(cause), 'Denied');
        const { attention } = await run.progress();
        assert.match(attention ?? '', /^somebody must remove the unfinished (backup|restore): folder of the test is/);
      }
    });

    await t.test('cancelled while a server is away: the run ends, and says what is left there', async () => {
      const reached = Promise.withResolvers<void>();
      const before: StartOptions['before'] = async (_, name) => {
        if (name !== 'fetchBase') return;
        reached.resolve();
        await untilCancelled();
      };
      const left = 'drop database lifeboat_crm, if it is there: server of the test is away';
      const run = await world.start('restore', { before, script: { discardRestore: async () => ({ left }) } });
      await reached.promise;
      await run.handle.cancel();
      assert.equal((await outcomeOf(run)).outcome, 'cancelled');
      const { attention, outcome } = await run.progress();
      assert.deepEqual([attention, outcome], [`somebody must ${left}`, 'cancelled']);
    });

    await t.test('a drill whose copy cannot be removed says so and tells people', async () => {
      const discardRestore = (): never => {
        throw failure('Denied', 'folder of the test is locked');
      };
      const run = await world.start('drill', { script: { discardRestore } });
      assert.equal(((await run.handle.result()) as { cleaned: boolean }).cleaned, false);
      assert.deepEqual(run.of('notify').map(({ title }) => title), [`drill of ${run.source} left its copy`]); // prettier-ignore
      assert.match((await run.progress()).attention ?? '', /^somebody must remove/);
    });
  });
});
