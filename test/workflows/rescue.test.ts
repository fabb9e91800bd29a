import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fact } from '../../workflows/model/approval.ts';
import { failure, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { RescueResult } from '../../workflows/model/rescue.ts';
import { changedFailure } from '../../workflows/model/rescue.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import { approve, pendingOf, refuse } from '../support/switchboard.ts';
import { differenceOf, factsOf, untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const ORDER = { by: 'anna', onlyDatabase: 'crm', tables: ['public.orders'] };
const COPY: ActivityName[] = [
  ...(['planRestore', 'prepareTarget', 'fetchBase', 'replayWal', 'openCluster', 'proveCluster'] as const),
];

interface Story {
  run: TestRun;
  result: Promise<RescueResult>;
}

async function begun(
  world: WorkflowWorld,
  use: { input?: Record<string, unknown>; script?: Script; before?: StartOptions['before'] } = {},
): Promise<Story> {
  const run = await world.start('rescue', {
    ...{ input: { ...ORDER, ...use.input }, isInRealTime: true },
    ...(use.script ? { script: use.script } : {}),
    ...(use.before ? { before: use.before } : {}),
  });
  const result = run.handle.result() as Promise<RescueResult>;
  result.catch(() => undefined);
  return { run, result };
}

async function endedWith(result: Promise<unknown>, type: string, message: RegExp): Promise<void> {
  await assert.rejects(result, (error: unknown) => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.match(findFailure(error)?.message ?? '', message);
    return true;
  });
}

function checkShown(facts: readonly Fact[]): void {
  const shown = new Map(facts.map(({ name, value }) => [name, value]));
  assert.equal(shown.get('then'), 'one transaction: 2 rows inserted, 0 overwritten, none deleted');
  assert.equal(shown.get('chosen by'), 'id < 9');
  assert.match(
    String(shown.get('public.orders')),
    /^2 of 40 rows are missing \(7\) \(9\); 1 differ and stay as they are/,
  );
  assert.equal(shown.get('hash of the rows'), differenceOf().hash);
}

function stepsOf(run: TestRun): ActivityName[] {
  return run.names().filter((name) => name !== 'notify');
}

test(
  'rescue: recovered beside, compared, approved, written, removed',
  { concurrency: 6, timeout: 600_000 },
  async (t) => {
    await withWorkflows({}, async (world) => {
      const told: Promise<void>[] = [];
      const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

      tell('in order, and what was approved is what is written', async () => {
        const input = { where: 'id < 9', tables: ['public.orders', 'lines'] };
        const { run, result } = await begun(world, { input });
        const { evidence, what, rule } = await pendingOf(run);
        assert.equal(what, `write rows into database crm of ${run.source}`);
        assert.equal(rule.byAnother, true);
        checkShown(evidence.facts);
        assert.ok(!run.names().includes('writeRows'));
        await approve(run, { by: 'ben', hash: evidence.hash });
        const { rescued, cleaned, approvals, report } = await result;
        assert.deepEqual(stepsOf(run), [
          ...(['describeSource', ...COPY, 'compareRows', 'weighRecovery'] as const),
          ...(['compareRows', 'weighRecovery', 'writeRows', 'discardRestore', 'writeReport'] as const),
        ]);
        const [plan] = run.of('planRestore');
        assert.deepEqual([plan?.onlyDatabase, plan?.rows], ['crm', { tables: input.tables, where: input.where }]);
        const [written] = run.of('writeRows');
        assert.deepEqual(
          [written?.hash, written?.where, written?.tables],
          [differenceOf().hash, 'id < 9', input.tables],
        );
        assert.equal(rescued?.xid, '4711');
        assert.deepEqual([cleaned, approvals.map(({ by }) => by), report?.host], [true, ['ben'], 'db1']);
        const titles = run.of('writeReport')[0]?.sections?.map(({ title }) => title) ?? [];
        assert.ok(
          titles.includes('Rows beside production') && titles.some((each) => each.startsWith('Transaction 4711')),
        );
      });

      tell('rows that a trigger changed are told, and before, that there is one', async () => {
        const tables = differenceOf().tables.map((each) => ({ ...each, triggers: ['stamp'] }));
        const otherwise = [{ table: 'public.orders', rows: 2, first: ['(7)', '(9)'], triggers: ['stamp'] }];
        const writeRows = (): unknown => ({
          ...{ server: 'db', xid: '9', behind: [], otherwise },
          tables: [{ table: 'public.orders', inserted: 2, overwritten: 0 }],
        });
        const { run, result } = await begun(world, {
          script: { compareRows: () => differenceOf({ tables }), writeRows },
        });
        const { evidence } = await pendingOf(run);
        assert.match(
          String(evidence.facts.find(({ name }) => name === 'triggers of public.orders')?.value),
          /^stamp: /,
        );
        await approve(run, { by: 'ben', hash: evidence.hash });
        assert.deepEqual((await result).rescued?.otherwise, otherwise);
        const said = 'public.orders: 2 rows, (7) (9); triggers stamp';
        const warnings = run.of('notify').filter(({ severity }) => severity === 'warning');
        assert.deepEqual(warnings.map(({ body }) => body), [said]); // prettier-ignore
        assert.ok((await run.progress()).attention?.endsWith(said));
        const section = run.of('writeReport')[0]?.sections?.find(({ title }) => title.startsWith('Transaction 9'));
        assert.deepEqual(section?.rows, [['public.orders', '2', '0', '2: (7) (9)']]);
      });

      tell('rows that change after the approval are shown again, and only then written', async () => {
        const seen = ['aa', 'aa', 'bb', 'bb'].map((each) => differenceOf({ hash: each.repeat(32) }));
        let looks = 0;
        const compareRows = (): unknown => seen[Math.min(looks++, seen.length - 1)];
        let tries = 0;
        const writeRows: Script['writeRows'] = ({ hash }) => {
          if (++tries === 1) throw changedFailure('db', { expected: hash, found: 'bb' });
          return { server: 'db', xid: '9', behind: [], tables: [] };
        };
        const { run, result } = await begun(world, { script: { compareRows, writeRows } });
        const first = await pendingOf(run);
        await approve(run, { by: 'ben', hash: first.evidence.hash });
        const second = await pendingOf(run, first.evidence.hash);
        assert.equal(second.given.length, 0);
        await approve(run, { by: 'ben', hash: second.evidence.hash });
        assert.equal((await result).rescued?.xid, '9');
        assert.deepEqual(run.of('writeRows').map(({ hash }) => hash.slice(0, 2)), ['aa', 'bb']); // prettier-ignore
      });

      tell('what changes beside the rows keeps no approval from counting', async () => {
        let looks = 0;
        const compareRows = (): unknown => {
          const difference = differenceOf();
          return {
            ...difference,
            tables: difference.tables.map((each) => ({ ...each, extra: ++looks, differing: looks })),
          };
        };
        const { run, result } = await begun(world, { script: { compareRows } });
        const { evidence } = await pendingOf(run);
        await approve(run, { by: 'ben', hash: evidence.hash });
        assert.ok((await result).rescued);
        assert.ok(looks > 1);
      });

      for (const [name, input, changes] of [
        ['only the difference', { compareOnly: true }, {}],
        ['nothing to write', {}, { inserts: 0, updates: 0 }],
      ] as const) {
        tell(`${name}: nobody is asked, and the copy is removed`, async () => {
          const { run, result } = await begun(world, { input, script: { compareRows: () => differenceOf(changes) } });
          const { rescued, cleaned, approvals } = await result;
          assert.deepEqual([rescued, cleaned, approvals], [undefined, true, []]);
          assert.deepEqual(stepsOf(run), ['describeSource', ...COPY, 'compareRows', 'discardRestore', 'writeReport']);
        });
      }

      tell('refused: nothing is written, and the copy stays as a finished one', async () => {
        const { run, result } = await begun(world);
        await pendingOf(run);
        await refuse(run, { by: 'carl', reason: 'they were deleted on purpose' });
        await endedWith(result, 'Refused', /carl refused: they were deleted on purpose/);
        assert.ok(!run.names().includes('writeRows') && !run.names().includes('discardRestore'));
        assert.equal(run.of('finishRestore').length, 1);
        assert.ok((await run.progress()).timeline.some(({ what }) => /the recovered copy is kept/.test(what)));
      });

      tell('who started it does not approve it', async () => {
        const { run, result } = await begun(world);
        const { evidence } = await pendingOf(run);
        await assert.rejects(approve(run, { by: 'anna', hash: evidence.hash }));
        await approve(run, { by: 'ben', hash: evidence.hash });
        assert.ok((await result).rescued);
      });

      tell('the configuration says who has to agree', async () => {
        const approval = { of: 2, from: ['ben', 'carl'], byAnother: true, withinMs: 60_000 };
        const describeSource = ({ source }: { source: string }): unknown => factsOf(source, { approval });
        const { run, result } = await begun(world, { script: { describeSource } });
        const { evidence } = await pendingOf(run);
        await assert.rejects(approve(run, { by: 'dora', hash: evidence.hash }));
        for (const by of ['ben', 'carl']) await approve(run, { by, hash: evidence.hash });
        assert.equal((await result).approvals.length, 2);
      });

      for (const step of ['prepareTarget', 'fetchBase', 'replayWal', 'openCluster'] as const) {
        tell(`${step} fails: nothing is written, and nothing of the copy stays`, async () => {
          const broken = (): never => {
            throw failure('Integrity', 'broken in the test');
          };
          const { run, result } = await begun(world, { script: { [step]: broken } });
          await endedWith(result, 'Integrity', /broken in the test/);
          assert.equal(run.of('discardRestore').length, 1);
          assert.ok(!run.names().includes('compareRows'));
        });
      }

      for (const step of ['compareRows', 'writeRows'] as const) {
        tell(`${step} fails: the proven copy is kept`, async () => {
          const broken = (): never => {
            throw failure('Precondition', 'broken in the test');
          };
          const { run, result } = await begun(world, { script: { [step]: broken } });
          if (step === 'writeRows') await approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash });
          await endedWith(result, 'Precondition', /broken in the test/);
          assert.deepEqual([run.of('discardRestore').length, run.of('finishRestore').length], [0, 1]);
        });
      }

      for (const step of ['fetchBase', 'proveCluster', 'compareRows', 'writeRows'] as const) {
        tell(`cancelled in ${step}: nothing of the copy stays`, async () => {
          const reached = Promise.withResolvers<void>();
          const { run, result } = await begun(world, {
            before: async (_, name) => {
              if (name !== step) return;
              reached.resolve();
              await untilCancelled();
            },
          });
          if (step === 'writeRows') await approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash });
          await reached.promise;
          await run.handle.cancel();
          await assert.rejects(result, { message: 'Workflow execution cancelled' });
          assert.equal(run.of('discardRestore').length, 1);
        });
      }

      tell('a source that is dumped, and an order without tables, are refused before anything is touched', async () => {
        const describeSource = ({ source }: { source: string }): unknown =>
          factsOf(source, { dumps: true, kind: 'postgres-logical' });
        const dumped = await begun(world, { script: { describeSource } });
        await endedWith(dumped.result, 'Unsupported', /has only the moments of its dumps/);
        const empty = await begun(world, { input: { tables: [] } });
        await endedWith(empty.result, 'ConfigInvalid', /names no table/);
        for (const { run } of [dumped, empty]) assert.deepEqual(stepsOf(run), ['describeSource']);
      });

      tell('restore into a database: brought over from the copy, which is then removed', async () => {
        const input = { onlyDatabase: 'crm', intoDatabase: 'crm_before' };
        const run = await world.start('restore', { input });
        const { brought } = (await run.handle.result()) as RestoreResult;
        assert.equal(brought?.database, 'crm_before');
        assert.deepEqual(run.names(), ['describeSource', ...COPY, 'bringOver', 'discardRestore', 'writeReport']);
      });

      tell('restore into a database that cannot be brought over: the proven copy is kept', async () => {
        const bringOver = (): never => {
          throw failure('Precondition', 'no such extension');
        };
        const input = { onlyDatabase: 'crm', intoDatabase: 'crm_before' };
        const run = await world.start('restore', { input, script: { bringOver } });
        await endedWith(run.handle.result(), 'Precondition', /no such extension/);
        assert.deepEqual([run.of('discardRestore').length, run.of('finishRestore').length], [0, 1]);
      });
      await Promise.all(told);
    });
  },
);
