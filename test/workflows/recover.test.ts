import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { RecoverResult } from '../../workflows/model/results.ts';
import type { ServiceFacts } from '../../workflows/model/service.ts';
import { approve, EVERYBODY_AT, NOBODY, pendingOf, refuse, Switchboard } from '../support/switchboard.ts';
import { answers, HOME, serviceOf, untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { skipTime, withWorkflows } from '../support/workflow-env.ts';

const NEW = 'db1.example:5433';
const TARGET = { kind: 'time', time: '2026-01-05T03:00:14.000000Z', inclusive: false };
const LOSS = { scenario: 'recent-loss', by: 'anna', target: TARGET };
const COMPLETE = { scenario: 'complete-loss', by: 'anna' };

interface Story {
  run: TestRun;
  board: Switchboard;
  result: Promise<RecoverResult>;
}

async function begun(
  world: WorkflowWorld,
  use: {
    input?: Record<string, unknown>;
    script?: Script;
    service?: Partial<ServiceFacts>;
    before?: StartOptions['before'];
  } = {},
): Promise<Story> {
  const board = new Switchboard();
  const describeService: Script['describeService'] = ({ source }) => serviceOf(source, use.service);
  const script = { ...board.script, describeService, ...use.script };
  const run = await world.start('recover', {
    ...{ input: use.input ?? LOSS, script, isInRealTime: true },
    ...(use.before ? { before: use.before } : {}),
  });
  const result = run.handle.result() as Promise<RecoverResult>;
  result.catch(() => undefined);
  return { run, board, result };
}

async function approvedBy(run: TestRun, by: string): Promise<void> {
  const { evidence } = await pendingOf(run);
  await approve(run, { by, hash: evidence.hash });
}

async function endedWith(result: Promise<unknown>, type: string, message: RegExp): Promise<void> {
  await assert.rejects(result, (error: unknown) => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.match(findFailure(error)?.message ?? '', message);
    return true;
  });
}

const RECOVERY: ActivityName[] = [
  ...(['planRestore', 'prepareTarget', 'fetchBase', 'replayWal', 'openCluster', 'proveCluster'] as const),
  'finishRestore',
];
const WEIGHED: ActivityName[] = ['checkService', 'locateTraffic', 'locateTraffic', 'weighRecovery'];

const AT_ONCE = 6;

/** Switches in memory, and a service that is well until they have moved so often. */
function wellFor(most: number): { board: Switchboard; script: Script } {
  let moves = 0;
  const board = new Switchboard();
  const script: Script = {
    ...board.script,
    moveTraffic: (task) => {
      moves += 1;
      return board.move(task);
    },
    checkService: async (task) =>
      (await answers.checkService(task)).map((check) => ({ ...check, ok: moves < most, found: 'exit 1' })),
  };
  return { board, script };
}

test('recover: traffic, recovery and approval, in order', { concurrency: AT_ONCE, timeout: 600_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));
    tell('a switch that goes by sites is refused before anything is touched', async () => {
      const compute = { name: 'compute', kind: 'ecs', weighted: false, sites: ['dc1', 'dc2'] };
      const { board, run, result } = await begun(world, { service: { traffic: [compute] } });
      await endedWith(result, 'ConfigInvalid', /has switch compute, which goes by sites/);
      assert.deepEqual([board.moves, run.of('takeEpoch')], [[], []]);
    });
    tell('recent loss: stopped, recovered, proven, approved, served', async () => {
      const { run, board, result } = await begun(world);
      const { evidence, what, rule } = await pendingOf(run);
      assert.equal(what, `send the traffic of web to ${NEW}`);
      assert.equal(rule.of, 1);
      assert.deepEqual(board.moves, ['pool: stopped', 'dns: stopped']);
      const shown = Object.fromEntries(evidence.facts.map(({ name, value }) => [name, value]));
      assert.match(shown['service'] ?? '', /^web: recent-loss of .*, started by anna$/);
      assert.equal(shown['switch pool now'], 'stopped');
      assert.equal(shown['then'], `100 % of the traffic to ${NEW}`);
      await approve(run, { by: 'ben', hash: evidence.hash.slice(0, 8) });
      const { approvals, traffic, epoch, address, restore, checks, report } = await result;
      assert.deepEqual(approvals.map(({ by, hash }) => [by, hash]), [['ben', evidence.hash.slice(0, 8)]]); // prettier-ignore
      assert.deepEqual(board.moves.slice(2), [`pool: ${NEW}`, `dns: ${NEW}`]);
      assert.deepEqual(traffic, [
        { name: 'pool', from: HOME, to: { [NEW]: 100 }, found: 'as asked' },
        { name: 'dns', from: HOME, to: { [NEW]: 100 }, found: 'as asked' },
      ]);
      assert.deepEqual([epoch, address, restore.proof.ok, report?.host], [3, NEW, true, 'db1']);
      assert.ok(checks.every(({ ok }) => ok));
      const looked: ActivityName[] = [
        'describeSource',
        'describeService',
        'planRestore',
        'locateTraffic',
        'locateTraffic',
      ];
      const wanted = [
        ...looked,
        ...(['takeEpoch', 'moveTraffic', 'moveTraffic'] as const),
        ...RECOVERY,
        ...WEIGHED,
        ...WEIGHED,
        ...(['moveTraffic', 'moveTraffic', 'checkService', 'writeReport'] as const),
      ];
      assert.deepEqual(run.names().filter((name) => name !== 'notify'), wanted); // prettier-ignore
      assert.deepEqual(new Set(run.of('moveTraffic').map(({ token }) => token)), new Set([6]));
      assert.equal(run.of('planRestore')[1]?.listen, '*');
      const [asked] = run.of('notify');
      assert.match(asked?.body ?? '', new RegExp(`Approve: lifeboat approve recover/${run.source} --evidence `));
      assert.equal((await run.progress()).attention, undefined);
    });

    tell('complete loss: the newest moment, and traffic by steps with a check behind each', async () => {
      const { run, board, result } = await begun(world, { input: COMPLETE });
      await approvedBy(run, 'ben');
      await result;
      assert.equal(run.of('planRestore')[0]?.target, undefined);
      const shares = [1, 10, 50].flatMap((each) => ['pool', 'dns'].map((name) => `${name}: ${each} % to ${NEW}`));
      assert.deepEqual(board.moves.slice(2), [...shares, `pool: ${NEW}`, `dns: ${NEW}`]);
      const moves = run.names().slice(run.names().lastIndexOf('weighRecovery') + 1);
      const step = ['moveTraffic', 'moveTraffic', 'checkService'];
      assert.deepEqual(moves, [...step, ...step, ...step, ...step, 'writeReport']);
    });

    tell(
      'corruption: a copy first, the last good moment backwards, what is lost, approval, then a stop and the switch',
      async () => {
        const badFrom = Date.parse('2026-01-05T03:00:11.250Z');
        const tried: string[] = [];
        const proveCluster: Script['proveCluster'] = async (given) => {
          const proof = await answers.proveCluster(given);
          const { target } = given.plan;
          const moment = target.kind === 'time' ? target.time : given.plan.base.stoppedAt;
          tried.push(moment);
          return { ...proof, ok: Date.parse(moment) < badFrom };
        };
        const planRestore: Script['planRestore'] = async (task) => {
          const preview = await answers.planRestore(task);
          return { ...preview, plan: { ...preview.plan, target: task.target ?? preview.plan.target } };
        };
        const input = { scenario: 'corruption', by: 'anna', mustHold: ['select true'] };
        const { run, board, result } = await begun(world, { input, script: { proveCluster, planRestore } });
        const { evidence } = await pendingOf(run);
        // Production goes on until somebody has seen what it would lose.
        assert.deepEqual(board.moves, []);
        const shown = Object.fromEntries(evidence.facts.map(({ name, value }) => [name, value]));
        assert.match(
          shown['lost'] ?? '',
          /^2 transactions in the vault behind 0\/4A00120, all of them in shop\/reports/,
        );
        assert.match(shown['last good moment'] ?? '', /from 20260105T030004Z-1a2b3c4d-1, bad at 2026-01-05T03:00:1/);
        await approve(run, { by: 'ben', hash: evidence.hash });
        const { lastGood, lost, forensicPoint, restore, stoppedMs } = await result;
        const { target } = restore.plan;
        assert.ok(target.kind === 'time' && lastGood?.target.kind === 'time' && target.time === lastGood.target.time);
        const good = Date.parse(target.time);
        assert.ok(good < badFrom && badFrom - good <= 1000, target.time);
        assert.deepEqual([lost?.total, forensicPoint], [2, '20260105T030004Z-1a2b3c4d-1']);
        assert.deepEqual(board.moves, ['pool: stopped', 'dns: stopped', `pool: ${NEW}`, `dns: ${NEW}`]);
        assert.ok(stoppedMs >= 0);
        assert.ok(run.names().indexOf('publishPoint') < run.names().indexOf('prepareTarget'));
        assert.equal(run.of('takeBackup')[0]?.type, 'full');
        // Each copy that was tried is gone before the next is made; the last one stays.
        assert.equal(run.of('discardRestore').length, tried.length - 1);
        assert.ok(
          run
            .of('planRestore')
            .slice(1)
            .every(({ mustHold }) => mustHold?.[0] === 'select true'),
        );
      },
    );

    tell('corruption that cannot be kept: nothing is looked for, and the way on is named', async () => {
      const takeBackup = (): never => {
        throw failure('Integrity', 'a page is damaged');
      };
      const { run, board, result } = await begun(world, {
        input: { scenario: 'corruption', by: 'anna' },
        script: { takeBackup },
      });
      await endedWith(result, 'Precondition', /cannot be kept: a page is damaged.*--forensic none/);
      assert.deepEqual(board.moves, []);
      assert.ok(!run.names().includes('prepareTarget'));
    });

    const down = { from: 'files', host: 'db1', directory: '/data', state: 'not shut down (in production)' } as const;
    const CORRUPT = { scenario: 'corruption', by: 'anna', target: TARGET };

    tell(
      'corruption of a server that is down: its files are copied on its host, and no WAL is waited for',
      async () => {
        const { run, result } = await begun(world, { input: CORRUPT, script: { findDamaged: () => down } });
        const { evidence } = await pendingOf(run);
        const shown = evidence.facts.find(({ name }) => name === 'damaged state');
        assert.match(shown?.value ?? '', /, a copy of \/data on host db1: not shut down/);
        await approve(run, { by: 'ben', hash: evidence.hash });
        assert.equal((await result).forensicPoint, '20260105T030004Z-1a2b3c4d-1');
        assert.equal(run.of('copyDamaged')[0]?.directory, '/data');
        const names = run.names();
        assert.ok(!names.some((name) => ['checkBackup', 'takeBackup', 'awaitWal'].includes(name)));
        assert.ok(names.indexOf('copyDamaged') < names.indexOf('publishPoint'));
        assert.ok(names.indexOf('publishPoint') < names.indexOf('prepareTarget'));
      },
    );

    tell('cancelled while the files are copied: nothing of them stays, nothing was moved', async () => {
      const reached = Promise.withResolvers<void>();
      const { board, run, result } = await begun(world, {
        ...{ input: { ...CORRUPT, forensic: 'files' }, script: { findDamaged: () => down } },
        before: async (_, name) => {
          if (name !== 'copyDamaged') return;
          reached.resolve();
          await untilCancelled();
        },
      });
      await reached.promise;
      await run.handle.cancel();
      await assert.rejects(result, { message: 'Workflow execution cancelled' });
      assert.deepEqual([board.moves, run.of('discardDrafts').length], [[], 1]);
      assert.equal(run.of('findDamaged')[0]?.filesOnly, true);
    });

    tell('corruption without a good moment: nothing is moved, no copy stays', async () => {
      const proveCluster: Script['proveCluster'] = async (given) => ({
        ...(await answers.proveCluster(given)),
        ok: false,
      });
      const input = { scenario: 'corruption', by: 'anna', forensic: 'none' };
      const { run, board, result } = await begun(world, { input, script: { proveCluster } });
      await endedWith(result, 'Integrity', /no good moment of .* was found in 2 recoveries/);
      assert.deepEqual([board.moves, run.of('discardRestore').length, run.of('takeBackup').length], [[], 2, 0]);
    });

    tell('a recent loss without its moment is refused before anything is touched', async () => {
      const { run, result } = await begun(world, { input: { scenario: 'recent-loss', by: 'anna' } });
      await endedWith(result, 'ConfigInvalid', /lacks "target"/);
      assert.deepEqual(run.names(), ['describeSource', 'notify']);
    });

    tell('a moment that cannot be reached is refused before anything is touched', async () => {
      const planRestore = (): never => {
        throw failure('Precondition', 'it cannot be reached');
      };
      const { board, run, result } = await begun(world, { script: { planRestore } });
      await endedWith(result, 'Precondition', /cannot be reached/);
      assert.deepEqual(board.moves, []);
      assert.ok(!run.names().includes('takeEpoch'));
    });

    for (const step of ['prepareTarget', 'fetchBase', 'replayWal', 'openCluster', 'finishRestore'] as const) {
      tell(`${step} fails: traffic is as it was, before anything else is taken back`, async () => {
        const broken = (): never => {
          throw failure('Integrity', 'broken in the test');
        };
        const { board, run, result } = await begun(world, { script: { [step]: broken } });
        await endedWith(result, 'Integrity', /broken in the test/);
        assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
        assert.deepEqual(board.moves, [
          'pool: stopped',
          'dns: stopped',
          'dns: db.example:5432',
          'pool: db.example:5432',
        ]);
        const last = run.names().lastIndexOf('moveTraffic');
        const discarded = run.names().indexOf('discardRestore');
        // A copy that may be worth looking at is kept from its proof on.
        assert.equal(discarded > last, step !== 'finishRestore', run.names().join(' '));
      });

      tell(`cancelled in ${step}: traffic is as it was, and nothing of it stays`, async () => {
        const reached = Promise.withResolvers<void>();
        const { board, run, result } = await begun(world, {
          before: async (_, name) => {
            if (name !== step) return;
            reached.resolve();
            await untilCancelled();
          },
        });
        await reached.promise;
        await run.handle.cancel();
        await assert.rejects(result, { message: 'Workflow execution cancelled' });
        assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
        assert.equal(run.of('discardRestore').length, 1);
      });
    }

    tell('a switch that refuses to stop: the others are put back, by a higher token', async () => {
      const board = new Switchboard();
      const script: Script = {
        ...board.script,
        moveTraffic: (task) => {
          if (task.name === 'dns' && task.token === 6) throw failure('Denied', 'dns refuses us');
          return board.move(task);
        },
      };
      const { result } = await begun(world, { script });
      await endedWith(result, 'Denied', /dns refuses us/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.deepEqual([board.where('pool').token, board.where('dns').token], [7, 7]);
    });

    tell('traffic that somebody else moved meanwhile is left where it is', async () => {
      const other = { 'elsewhere:5432': 100 };
      const board = new Switchboard();
      const script: Script = {
        ...board.script,
        fetchBase: () => {
          board.at.set('dns', { traffic: other, token: 6 });
          throw failure('Integrity', 'broken in the test');
        },
      };
      const { run, result } = await begun(world, { script });
      await endedWith(result, 'Integrity', /broken in the test/);
      assert.deepEqual(board.where('dns').traffic, other);
      assert.match((await run.progress()).attention ?? '', /put traffic back: switch dns was moved by somebody else/);
    });

    tell('refused: traffic is as it was, the proven copy is kept, and the report says who', async () => {
      const { board, run, result } = await begun(world);
      await pendingOf(run);
      await refuse(run, { by: 'carl', reason: 'not in the middle of the sale' });
      await endedWith(result, 'Refused', /carl refused: not in the middle of the sale/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.equal(run.of('discardRestore').length, 0);
      assert.ok((await run.progress()).timeline.some(({ what }) => /is kept: \/srv\/restore/.test(what)));
      const [report] = run.of('writeReport');
      assert.equal(report?.outcome, 'failed');
      assert.ok(report?.sections?.some(({ title }) => title.startsWith('Evidence ')));
    });

    tell('cancelled while it waits for approval: traffic is as it was, the copy goes', async () => {
      const { board, run, result } = await begun(world);
      await pendingOf(run);
      await run.handle.cancel();
      await assert.rejects(result, { message: 'Workflow execution cancelled' });
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.equal(run.of('discardRestore').length, 1);
    });

    tell('nobody decides in time: it counts as refused', async () => {
      const { board, run, result } = await begun(world);
      await pendingOf(run);
      await skipTime(world.client, run.handle.workflowId);
      await endedWith(result, 'Refused', /nobody decided in time/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
    });

    tell('a service that is not well is shown to nobody', async () => {
      const checkService: Script['checkService'] = async (task) =>
        (await answers.checkService(task)).map((check) => ({ ...check, ok: false, found: 'exit 1' }));
      const { board, run, result } = await begun(world, { script: { checkService } });
      await endedWith(result, 'Precondition', /service web is not well: smoke/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.ok((await run.progress()).timeline.some(({ what }) => /is kept/.test(what)));
    });

    tell('not well at a step: traffic is stopped, never sent back to what is lost', async () => {
      // Two switches stopped, then two steps for each.
      const { board, script } = wellFor(6);
      const { run, result } = await begun(world, { input: COMPLETE, script });
      await approvedBy(run, 'ben');
      await skipTime(world.client, run.handle.workflowId);
      await endedWith(result, 'Precondition', /not well at 10 % of the traffic/);
      assert.deepEqual(board.traffic(), NOBODY);
      assert.match((await run.progress()).attention ?? '', /clients have reached .*: traffic is stopped, not put back/);
    });

    tell('not well when everybody has moved: people are told, and nothing is taken from them', async () => {
      const { board, script } = wellFor(4);
      const { run, result } = await begun(world, { script });
      await approvedBy(run, 'ben');
      await skipTime(world.client, run.handle.workflowId);
      assert.equal((await result).checks[0]?.ok, false);
      assert.deepEqual(board.traffic(), EVERYBODY_AT({ [NEW]: 100 }));
      assert.ok(run.of('notify').some(({ title }) => title === `service web is not well at ${NEW}`));
    });
    await Promise.all(told);
  });
});
