import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterFacts } from '../../workflows/model/cluster.ts';
import { failure } from '../../workflows/model/failure.ts';
import { END, goneState, primaryState, standbyState } from '../support/failover-answers.ts';
import {
  AUTOMATIC,
  DEAD,
  DEAF,
  DESCRIBED,
  doneIn,
  endedWith,
  failingOver,
  FORWARD,
  goneBy,
  LOOKED,
  MOVED,
  OPENED,
  takenBack,
  THERE,
  UNPLANNED,
} from '../support/failover-story.ts';
import { approve, EVERYBODY_AT, NOBODY, pendingOf, refuse } from '../support/switchboard.ts';
import { factsOf, HOME } from '../support/workflow-answers.ts';
import type { ActivityName, Script } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const TOGETHER = 6;

test('failover, unplanned: quoted, fenced, decided', { concurrency: TOGETHER, timeout: 240_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));
    const sampled =
      (at = new Date().toISOString(), lsn = END): NonNullable<Script['readSample']> =>
      ({ timeline }) => ({
        sample: { at, timeline, lsn, bytesPerSecond: 0 },
      });

    tell('nothing lost and a fence that is confirmed: one approval', async () => {
      const { run, board, result } = await failingOver(world, {
        input: UNPLANNED,
        script: { ...DEAD, readSample: sampled() },
      });
      const { evidence, rule } = await pendingOf(run);
      assert.equal(rule.of, 1);
      assert.ok(!evidence.facts.some(({ name }) => name === 'RISK'));
      assert.deepEqual(board.traffic(), NOBODY);
      await approve(run, { by: 'ben', hash: evidence.hash });
      const { fence, loss, promotion, rejoined, next } = await result;
      assert.deepEqual(fence?.map(({ outcome }) => outcome), ['confirmed']); // prettier-ignore
      assert.ok(loss?.known && loss.bytes === 0);
      assert.deepEqual([promotion.forkLsn, rejoined], [END, undefined]);
      assert.deepEqual(run.of('observeNode').at(-1)?.tail, { timeline: 1, fromLsn: END });
      assert.match(next[0] ?? '', /keep db-a away/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
      const looks: ActivityName[] = [...LOOKED, ...LOOKED];
      assert.deepEqual(doneIn(run), [
        ...[...DESCRIBED, ...looks, ...OPENED, ...MOVED],
        ...(['freezeNode', 'fenceNode', 'readSample'] as const),
        ...[...looks, 'weighFacts' as const, ...looks, 'weighFacts' as const],
        ...[...FORWARD, 'observeNode' as const, 'checkService' as const, 'writeReport' as const],
      ]);
    });

    tell('the same, automatic: nobody is asked, and who wants all of it hears what it has cost', async () => {
      const notifiers = [
        { name: 'pager', tells: { P1: 0 } },
        { name: 'mail', tells: { P4: 86_400_000 } },
      ];
      const describeSource: Script['describeSource'] = ({ source }) => factsOf(source, { notifiers });
      const script = { ...DEAD, readSample: sampled(), describeSource };
      const input = { ...UNPLANNED, since: '2026-01-05T02:59:59+00:00' };
      const { run, result } = await failingOver(world, { input, cluster: AUTOMATIC, script });
      assert.deepEqual((await result).approvals, []);
      assert.equal(run.of('promoteNode').length, 1);
      const [report] = run.of('writeReport');
      assert.deepEqual([report?.outage?.from, report?.change?.approvals], ['2026-01-05T02:59:59.000000Z', []]);
      const [news, ...others] = run.of('notify');
      assert.deepEqual([news?.to, news?.severity, others], ['mail', 'info', []]);
      assert.match(news?.title ?? '', /^service source-\d+: db-b serves in place of db-a$/);
      assert.match(news?.body ?? '', /^lost: 0 B known.*\nnobody was served for .*\napproved by: nobody had to/m);
    });

    const lives: [string, Script][] = [
      ['its own worker sees it', { observeNode: ({ node, remote }) => (node === 'db-b' ? standbyState(node, DEAF) : remote ? goneState(node) : primaryState(node)) }], // prettier-ignore
      ['the candidate hears it', goneBy({})],
      ['it refuses our login', { observeNode: ({ node }) => (node === 'db-b' ? standbyState(node, DEAF) : goneState(node, { trouble: { kind: 'denied', found: 'too many clients' } })) }], // prettier-ignore
    ];
    for (const [name, script] of lives) {
      tell(`it lives, for ${name}: nothing is touched`, async () => {
        const { run, board, result } = await failingOver(world, { input: UNPLANNED, cluster: AUTOMATIC, script });
        await endedWith(result, 'Precondition', /primary is gone: .*it lives: lifeboat failover/);
        assert.deepEqual([board.moves, run.names().includes('takeEpoch')], [[], false]);
      });
    }

    const unfenced: NonNullable<Script['fenceNode']> = ({ step }) => ({
      step: step.by,
      outcome: 'unconfirmed',
      found: 'no word',
    });
    tell('no fence is confirmed: not without --break-glass, and all is taken back', async () => {
      const script = { ...DEAD, readSample: sampled(), fenceNode: unfenced };
      const { run, board, result } = await failingOver(world, { input: UNPLANNED, cluster: AUTOMATIC, script });
      await endedWith(result, 'Precondition', /two primaries.*--break-glass/);
      assert.deepEqual(takenBack(run), ['reinstateNode', 'thawNode']);
      assert.equal(run.of('reinstateNode')[0]?.start, false);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.ok(!run.names().includes('promoteNode'));
      // Traffic goes where nobody serves: that is not over.
      const [report] = run.of('writeReport');
      assert.ok(report?.outage && report.outage.to === undefined && report.change?.fence?.length === 1);
    });

    tell(
      'an instance that a fence has stopped is not waited for when all is taken back: somebody must start it',
      async () => {
        const fenceNode: Script['fenceNode'] = () => ({
          step: 'its instance stopped',
          outcome: 'confirmed',
          found: 'stopped',
        });
        const { run, board, result } = await failingOver(world, {
          ...{ input: UNPLANNED, cluster: { ...AUTOMATIC, fence: [{ by: 'instance-stop' }] } },
          script: { ...DEAD, readSample: () => ({ sample: undefined }) as never, fenceNode },
        });
        await endedWith(result, 'Precondition', /--break-glass/);
        assert.deepEqual(takenBack(run), ['thawNode']);
        assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
        assert.match((await run.progress()).attention ?? '', /somebody must start the instance of db-a/);
      },
    );

    tell('with it: two have to agree, who are shown the risk', async () => {
      const input = { ...UNPLANNED, breakGlass: 'the site burns' };
      const script = { ...DEAD, readSample: sampled(), fenceNode: unfenced };
      const { run, result } = await failingOver(world, { input, cluster: AUTOMATIC, script });
      const { evidence, rule } = await pendingOf(run);
      const shown = evidence.facts.map(({ name, value }) => `${name}: ${value}`).join('\n');
      assert.match(shown, /RISK: .*two primaries/);
      assert.match(shown, /break-glass, for: the site burns/);
      assert.equal(rule.of, 2);
      for (const by of ['ben', 'carl']) await approve(run, { by, hash: evidence.hash });
      assert.equal((await result).approvals.length, 2);
    });

    const losses: [string, NonNullable<Script['readSample']>, RegExp][] = [
      ['unknown', () => ({}), /what is lost is unknown: nobody has written down/],
      ['a vault that cannot be asked', () => { throw failure('NotFound', 'no vault'); }, /what is lost is unknown/], // prettier-ignore
      [
        'above the RPO',
        sampled('2026-01-05T03:00:00.000Z', '0/6000000'),
        /lost is 16\.0 MiB known.*above the RPO of 10s/,
      ],
    ];
    for (const [name, readSample, says] of losses) {
      tell(`a loss that is ${name}: only with --break-glass`, async () => {
        const script = { ...DEAD, readSample };
        const { run, result } = await failingOver(world, { input: UNPLANNED, cluster: AUTOMATIC, script });
        await endedWith(result, 'Precondition', says);
        assert.ok(run.names().includes('thawNode') && !run.names().includes('promoteNode'));
      });
    }

    tell('a host whose disk is gone: what its worker cannot see keeps nobody waiting', async () => {
      const observeNode: NonNullable<Script['observeNode']> = ({ node, remote }) => {
        if (node === 'db-b') return standbyState(node, { lsn: END, ...DEAF });
        if (remote !== true) throw failure('NotFound', '/srv/a/PG_VERSION does not exist');
        return goneState(node);
      };
      const use = { input: UNPLANNED, cluster: AUTOMATIC, script: { observeNode, readSample: sampled() } };
      const { run, result } = await failingOver(world, use);
      await result;
      assert.equal(run.of('promoteNode').length, 1);
    });

    tell('looks that did not take place say nothing of it: nothing is touched', async () => {
      const observeNode: NonNullable<Script['observeNode']> = ({ node }) => {
        if (node === 'db-b') return standbyState(node, { lsn: END, ...DEAF });
        throw failure('NotFound', 'no such service on that host');
      };
      const use = { input: UNPLANNED, cluster: AUTOMATIC, script: { observeNode, readSample: sampled() } };
      const { run, result } = await failingOver(world, use);
      await endedWith(result, 'Precondition', /db-a: unknown; .*only 0 of 2 looks took place.*nobody can tell/);
      assert.ok(!run.names().includes('takeEpoch'));
    });

    tell('the ladder goes on to the first step that is confirmed', async () => {
      const fence: ClusterFacts['fence'] = [
        { by: 'agent-stop' },
        { by: 'command', name: 'power', host: 'db1' },
        { by: 'traffic', confirms: true },
        { by: 'command', name: 'never' },
      ];
      const fenceNode: NonNullable<Script['fenceNode']> = (task) => {
        if (task.step.by === 'agent-stop') throw new Error('no worker there');
        return { step: 'power', outcome: 'impossible', found: 'exit 2' };
      };
      const script = { ...DEAD, readSample: sampled(), fenceNode };
      const { result } = await failingOver(world, { input: UNPLANNED, cluster: { ...AUTOMATIC, fence }, script });
      const outcomes = (await result).fence?.map(({ outcome }) => outcome);
      assert.deepEqual(outcomes, ['unconfirmed', 'impossible', 'confirmed']);
    });

    tell('refused: the candidate follows again, traffic is where it was', async () => {
      const { run, board, result } = await failingOver(world, {
        input: UNPLANNED,
        script: { ...DEAD, readSample: sampled() },
      });
      await pendingOf(run);
      await refuse(run, { by: 'ben', reason: 'it comes back in a minute' });
      await endedWith(result, 'Refused', /it comes back in a minute/);
      assert.deepEqual(takenBack(run), ['reinstateNode', 'thawNode']);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
    });

    tell('a lease is waited for before it is said what is lost: until then it may have written', async () => {
      const fence: ClusterFacts['fence'] = [{ by: 'lease', afterMs: 11_000 }];
      const script = { ...DEAD, readSample: sampled() };
      const { result } = await failingOver(world, { input: UNPLANNED, cluster: { ...AUTOMATIC, fence }, script });
      await endedWith(result, 'Precondition', /above the RPO of 10s/);
    });

    tell('a fenced primary that its supervisor starts as a standby changes nothing', async () => {
      let isFenced = false;
      const script: Script = {
        readSample: sampled(),
        fenceNode: () => {
          isFenced = true;
          return { step: 'agent-stop', outcome: 'confirmed', found: 'no server runs' };
        },
        observeNode: (task) => {
          if (task.node === 'db-b') return standbyState('db-b', { lsn: END, ...DEAF });
          return isFenced ? standbyState('db-a', { lsn: '0/9000000', ...DEAF }) : goneState('db-a', { running: false });
        },
      };
      const { run, result } = await failingOver(world, { input: UNPLANNED, cluster: AUTOMATIC, script });
      await result;
      assert.equal(run.of('promoteNode').length, 1);
    });

    tell('a primary that is back before it is approved ends it', async () => {
      let back = false;
      const script: Script = {
        readSample: sampled(),
        observeNode: (task) => {
          if (task.node === 'db-b') return standbyState('db-b', { lsn: END, ...DEAF });
          return back ? primaryState('db-a') : goneState('db-a', { running: false });
        },
      };
      const { run, result } = await failingOver(world, { input: UNPLANNED, script });
      const { evidence } = await pendingOf(run);
      back = true;
      await approve(run, { by: 'ben', hash: evidence.hash });
      await endedWith(result, 'Precondition', /primary is gone: db-a: serving/);
      assert.ok(!run.names().includes('promoteNode'));
    });

    await Promise.all(told);
  });
});
