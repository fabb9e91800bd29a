import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { RecoverResult } from '../../workflows/model/results.ts';
import type { ApprovalRule } from '../../workflows/model/service.ts';
import { approve, pendingOf, refuse, Switchboard } from '../support/switchboard.ts';
import { answers, serviceOf } from '../support/workflow-answers.ts';
import type { Script, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { skipTime, withWorkflows } from '../support/workflow-env.ts';

const RULE: ApprovalRule = { of: 2, from: ['anna', 'ben', 'carl'], byAnother: true, withinMs: 3_600_000 };

async function asking(
  world: WorkflowWorld,
  use: { rule?: Partial<ApprovalRule>; script?: Script } = {},
): Promise<{ run: TestRun; board: Switchboard; result: Promise<RecoverResult> }> {
  const board = new Switchboard();
  const approval = { ...RULE, ...use.rule };
  const run = await world.start('recover', {
    input: { scenario: 'complete-loss', by: 'anna' },
    script: {
      ...board.script,
      describeService: ({ source }) => serviceOf(source, { approval, steps: [100] }),
      ...use.script,
    },
    isInRealTime: true,
  });
  const result = run.handle.result() as Promise<RecoverResult>;
  result.catch(() => undefined);
  return { run, board, result };
}

/** Not taken, in these words, and not in the history of the run. */
async function unheard(said: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(said, (error: unknown) => {
    assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
    assert.match(findFailure(error)?.message ?? '', message);
    return true;
  });
}

async function acceptedIn(run: TestRun): Promise<number> {
  const { events } = await run.handle.fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes).length;
}

test('approvals', { concurrency: 4, timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

    tell('two of three, the one who started it among them; what does not count is heard by nobody', async () => {
      const { run, result } = await asking(world);
      const { evidence } = await pendingOf(run);
      const { hash } = evidence;
      await unheard(approve(run, { by: 'dora', hash }), /dora is not one of anna, ben, carl/);
      await unheard(approve(run, { by: 'ben', hash: '0'.repeat(64) }), /the evidence is another one now/);
      await unheard(refuse(run, { by: 'dora', reason: 'no' }), /dora is not one of/);
      await unheard(refuse(run, { by: 'ben', reason: '' }), /needs a reason/);
      const first = await approve(run, { by: 'anna', hash });
      assert.deepEqual(first.given.map(({ by }) => by), ['anna']); // prettier-ignore
      await unheard(approve(run, { by: 'anna', hash }), /anna has approved already/);
      assert.equal(await acceptedIn(run), 1);
      await approve(run, { by: 'carl', hash });
      const { approvals } = await result;
      assert.deepEqual(approvals.map(({ by }) => by), ['anna', 'carl']); // prettier-ignore
    });

    tell('alone, who started it is not heard where one is enough', async () => {
      const { run, result } = await asking(world, { rule: { of: 1, from: [] } });
      const { evidence } = await pendingOf(run);
      await unheard(approve(run, { by: 'anna', hash: evidence.hash }), /another one has to approve/);
      await approve(run, { by: 'somebody', hash: evidence.hash });
      assert.equal((await result).approvals.length, 1);
    });

    tell('evidence that changed since it was approved counts for nothing: it is asked again', async () => {
      let looks = 0;
      const weighRecovery: Script['weighRecovery'] = async (task) => {
        looks += 1;
        return answers.weighRecovery({
          ...task,
          facts: [...task.facts, { name: 'look', value: looks > 1 ? 'b' : 'a' }],
        });
      };
      const { run, board, result } = await asking(world, { rule: { of: 1 }, script: { weighRecovery } });
      const first = await pendingOf(run);
      await approve(run, { by: 'ben', hash: first.evidence.hash });
      const second = await pendingOf(run, first.evidence.hash);
      assert.deepEqual(second.given, []);
      assert.equal(second.until, first.until);
      await unheard(approve(run, { by: 'ben', hash: first.evidence.hash }), /the evidence is another one now/);
      assert.ok(board.moves.every((move) => move.endsWith('stopped')));
      await approve(run, { by: 'ben', hash: second.evidence.hash });
      assert.equal((await result).evidence.hash, second.evidence.hash);
    });

    tell('traffic that moves while it is waited for is other evidence', async () => {
      const { run, board } = await asking(world, { rule: { of: 1 } });
      const first = await pendingOf(run);
      board.at.set('pool', { traffic: { 'elsewhere:1': 100 }, token: 6 });
      await approve(run, { by: 'ben', hash: first.evidence.hash });
      const second = await pendingOf(run, first.evidence.hash);
      assert.ok(second.evidence.facts.some(({ name, value }) => name === 'switch pool now' && value === 'elsewhere:1'));
      await run.handle.cancel();
    });

    tell('one of two in time, the other too late: nothing is moved, and a late word is not heard', async () => {
      const { run, board, result } = await asking(world);
      const { evidence } = await pendingOf(run);
      await approve(run, { by: 'ben', hash: evidence.hash });
      await skipTime(world.client, run.handle.workflowId);
      await assert.rejects(result, (error: unknown) => {
        assert.equal(failureTypeOf(error), 'Refused');
        const { found, expected } = findFailure(error)?.details?.[0] as { found: string; expected: string };
        assert.equal(found, 'approved by ben only');
        assert.match(expected, /^2 within 1h, until /);
        return true;
      });
      assert.ok(!board.moves.some((move) => move.includes('db1.example')));
      await assert.rejects(approve(run, { by: 'carl', hash: evidence.hash }));
    });

    tell('before anything is asked nobody is heard', async () => {
      const gate = Promise.withResolvers<void>();
      const fetchBase: Script['fetchBase'] = async (given) => {
        await gate.promise;
        return answers.fetchBase(given);
      };
      const { run } = await asking(world, { script: { fetchBase } });
      while (!run.names().includes('fetchBase')) await run.progress();
      await unheard(approve(run, { by: 'ben', hash: 'ab'.repeat(32) }), /nothing waits for an approval now/);
      await unheard(refuse(run, { by: 'ben', reason: 'no' }), /nothing waits for an approval now/);
      gate.resolve();
      await pendingOf(run);
      await run.handle.cancel();
    });

    await Promise.all(told);
  });
});
