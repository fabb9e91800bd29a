import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterFacts, NodeState } from '../../workflows/model/cluster.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { FailbackPreview, FailbackResult, RejoinPreview, RejoinResult } from '../../workflows/model/rejoin.ts';
import { clusterOf, goneState, primaryState, standbyState } from '../support/failover-answers.ts';
import { AUTOMATIC, DESCRIBED, doneIn, endedWith, LOOKED } from '../support/failover-story.ts';
import { FORK, LEFT, oldNode, SALVAGE, traceOf } from '../support/rejoin-answers.ts';
import { approve, pendingOf, refuse, Switchboard } from '../support/switchboard.ts';
import { untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const BEGUN: ActivityName[] = [...DESCRIBED, ...LOOKED, 'takeEpoch'];
const COMPARED: ActivityName[] = ['traceWal', 'examineNode', 'traceWal'];
const WEIGHED: ActivityName[] = [...COMPARED, 'weighFacts'];
const STARTED: ActivityName[] = ['startNode', 'writeMarker', 'awaitFollowing'];
const BAD = {
  node: 'db-a',
  ok: false,
  checks: [{ name: 'streams', ok: false, expected: 'streaming', found: 'waiting' }],
};
/** As it was: nothing of it is given up. */
const CLEAN: Script = { examineNode: () => oldNode({ endLsn: FORK, state: 'shut down' }) };
/** What pg_control says of one that crashed. */
const DOWN = { state: 'in production', timeline: 1, checkpointLsn: '0/5000060', rewindable: true };
const TOUCHING: ActivityName[] = ['rewindNode', 'reseedNode', 'prepareStandby', 'startNode', 'tidyNode'];

interface Use {
  script?: Script;
  cluster?: Partial<ClusterFacts>;
  before?: StartOptions['before'];
}

async function rejoining(
  world: WorkflowWorld,
  { script, cluster, before }: Use = {},
): Promise<{ run: TestRun; result: Promise<RejoinResult> }> {
  const run = await world.start('rejoin', {
    script: { describeCluster: ({ service }) => clusterOf(service, cluster), ...LEFT, ...script },
    order: (service) => ({ service, node: 'db-a', by: 'anna' }),
    isInRealTime: true,
    ...(before ? { before } : {}),
  });
  const result = run.handle.result() as Promise<RejoinResult>;
  result.catch(() => undefined);
  return { run, result };
}

async function signedOff(run: TestRun): Promise<void> {
  await approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash });
}

test(
  'rejoin: kept from serving, salvaged, signed off, brought back, proven',
  { concurrency: 6, timeout: 240_000 },
  async (t) => {
    await withWorkflows({}, async (world) => {
      const told: Promise<void>[] = [];
      const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

      tell('one that went on: what only it has is shown, and it is rewound', async () => {
        const { run, result } = await rejoining(world);
        const { evidence, what, rule } = await pendingOf(run);
        assert.match(what, /^give up what only db-a has, and rewind it from db-b$/);
        assert.equal(rule.of, 1);
        const shown = evidence.facts.map(({ name, value }) => `${name}: ${value}`).join('\n');
        assert.match(shown, /GIVEN UP: 2 commits on timeline 1, from 0\/5000100 to 0\/5000800/);
        assert.match(shown, /commit 912 at 0\/5000200: .* postgres\.public\.orders \+3/);
        assert.ok(shown.includes(SALVAGE.hash));
        assert.deepEqual(run.names().filter((name) => TOUCHING.includes(name)), []); // prettier-ignore
        await signedOff(run);
        const { path, salvage, approvals, following, epoch, forkLsn, endLsn, report } = await result;
        assert.deepEqual([path, epoch, forkLsn, endLsn, following.ok], ['rewind', 4, FORK, '0/5000800', true]);
        assert.deepEqual([salvage?.commits, approvals.map(({ by }) => by)], [2, ['ben']]); // prettier-ignore
        assert.ok(report);
        assert.deepEqual(doneIn(run), [
          ...[...BEGUN, 'quarantineNode' as const, ...COMPARED, 'salvageNode' as const, ...WEIGHED, ...WEIGHED],
          ...(['holdSlot', 'checkpointNode', 'rewindNode'] as const),
          ...[...STARTED, 'tidyNode' as const, 'writeReport' as const],
        ]);
        assert.deepEqual(run.of('startNode')[0]?.dropSlots, ['lifeboat_db_b']);
        assert.deepEqual([run.of('holdSlot')[0]?.node, run.of('holdSlot')[0]?.follower], ['db-b', 'db-a']);
        assert.equal(run.of('checkpointNode')[0]?.node, 'db-b');
      });

      const dry = async (script: Script): Promise<{ run: TestRun; preview: RejoinPreview }> => {
        const order = (service: string): unknown => ({ service, node: 'east', by: 'anna', dryRun: true });
        const run = await world.start('rejoin', { script: { ...LEFT, ...script }, order });
        return { run, preview: (await run.handle.result()) as RejoinPreview };
      };
      const IS_DOWN = { running: false, standbySignal: true, epoch: 3 };
      const tail = { timeline: 1, fromLsn: FORK, endLsn: '0/5000800', bytes: 1792, records: 9, commits: 2 };

      tell('a dry run says which way, why, and what would be given up, and touches nothing', async () => {
        const observeNode: Script['observeNode'] = ({ node, tail: asked }) =>
          node === 'db-b'
            ? primaryState(node, { timeline: 2, lsn: '0/6000000', epoch: 3 })
            : goneState(node, { ...IS_DOWN, ...(asked ? { tail } : {}) });
        const { run, preview } = await dry({ observeNode });
        const { ok, path, why, givesUpFromLsn, givesUp, steps } = preview;
        assert.deepEqual([ok, path, givesUpFromLsn, givesUp], [true, 'rewind', FORK, tail]);
        assert.match(why.join(), /^it went on from 0\/5000100 to 0\/5000800/);
        assert.deepEqual(run.of('observeNode').at(-1)?.tail, { timeline: 1, fromLsn: FORK });
        assert.equal(run.of('examineNode')[0]?.live, true);
        assert.deepEqual(steps.filter(({ pointOfNoReturn }) => pointOfNoReturn).map(({ what }) => what.slice(0, 11)), ['rewind db-a']); // prettier-ignore
        assert.ok(steps.some(({ what }) => /^ask for 1 approval/.test(what)));
        assert.deepEqual(doneIn(run), [...DESCRIBED, ...LOOKED, ...COMPARED, 'observeNode']);
      });

      tell('a dry run of one that ended well, has no hints, runs, or follows', async () => {
        const stepsOf = async (script: Script): Promise<string> => {
          const { run, preview } = await dry(script);
          assert.ok(run.names().every((name) => [...DESCRIBED, ...LOOKED, ...COMPARED].includes(name)));
          const { ok, path, why, steps } = preview;
          return [`${ok} ${path}`, ...why, ...steps.map(({ what }) => what)].join('\n');
        };
        assert.match(await stepsOf(CLEAN), /^true follow\n(?!.*approval)[^]*\nmake a standby of db-a as it is\n/);
        assert.match(await stepsOf({ examineNode: () => oldNode({ rewindable: false }) }), /^true reseed\nit has neither[^]*\ncopy db-b beside/); // prettier-ignore
        const seen = (changes: Partial<NodeState>): Script => ({
          observeNode: ({ node }) =>
            node === 'db-b' ? primaryState(node, { timeline: 2, epoch: 3 }) : standbyState(node, changes),
        });
        const waits = { receiver: { status: 'waiting', timeline: 1 } };
        assert.match(await stepsOf(seen(waits)), /^true rewind\na server runs on db-a \(standby\), and/);
        const streams = { timeline: 2, receiver: { status: 'streaming', timeline: 2 } };
        assert.match(await stepsOf(seen(streams)), /^true none\nit streams from db-b on timeline 2.*\nwrite a marker on db-b, and read it on db-a$/); // prettier-ignore
        assert.match(await stepsOf({ observeNode: ({ node }) => (node === 'db-b' ? standbyState(node) : goneState(node, IS_DOWN)) }), /^false undefined$/); // prettier-ignore
      });

      tell('failback, dry: the way back, the soak, the switch and its checks', async () => {
        const order = (service: string): unknown => ({ service, by: 'anna', dryRun: true });
        const ask = async (script: Script): Promise<[FailbackPreview, TestRun]> => {
          const run = await world.start('failback', { script, order });
          return [(await run.handle.result()) as FailbackPreview, run];
        };
        const [left] = await ask(LEFT);
        assert.deepEqual([left.ok, left.node, left.rejoin.path, left.checks], [true, 'db-a', 'rewind', undefined]);
        assert.deepEqual([left.plan.from, left.plan.to, left.soak.ms], ['db-b', 'db-a', 600_000]);
        const there = { timeline: 2, receiver: { status: 'streaming', timeline: 2 } };
        const observeNode: Script['observeNode'] = ({ node }) =>
          node === 'db-b' ? primaryState(node, { timeline: 2 }) : standbyState(node, there);
        const [back, run] = await ask({ observeNode });
        assert.deepEqual([back.ok, back.rejoin.path], [true, 'none']);
        assert.ok((back.checks ?? []).length > 10);
        assert.deepEqual(doneIn(run), [...DESCRIBED, ...LOOKED, ...LOOKED, ...LOOKED]);
      });

      tell('one that ended where the primary went on: nobody is asked', async () => {
        const { run, result } = await rejoining(world, { script: CLEAN });
        const { path, salvage, approvals } = await result;
        assert.deepEqual([path, salvage, approvals], ['follow', undefined, []]);
        assert.deepEqual(doneIn(run).slice(BEGUN.length), [
          ...['quarantineNode' as const, ...COMPARED, 'holdSlot' as const, 'prepareStandby' as const],
          ...[...STARTED, 'tidyNode' as const, 'writeReport' as const],
        ]);
      });

      tell('one that follows already is left as it is', async () => {
        const streams = standbyState('db-a', { timeline: 2, epoch: 3, receiver: { status: 'streaming', timeline: 2 } });
        const observeNode: Script['observeNode'] = ({ node }) =>
          node === 'db-a' ? streams : primaryState(node, { timeline: 2, epoch: 3 });
        const { run, result } = await rejoining(world, { script: { observeNode } });
        assert.equal((await result).path, 'none');
        assert.ok(!run.names().includes('quarantineNode'));
      });

      const reseeds: [string, Script, RegExp][] = [
        [
          'neither checksums nor hints',
          { examineNode: () => oldNode({ rewindable: false }) },
          /neither data checksums/,
        ],
        ['WAL of the fork is gone', { examineNode: () => oldNode({ walFromLsn: '0/5000400' }) }, /no WAL of/],
        ['a rewind that was cut', { examineNode: () => oldNode({ interrupted: true }) }, /did not come to its end/],
        ['two histories under one number', { traceWal: ({ range }) => traceOf(range ? { digests: { ...range, pages: ['bb'] } } : {}) }, /under one number/], // prettier-ignore
        [
          'pg_rewind says no',
          { rewindNode: () => ({ ok: false, said: 'could not find previous WAL record' }) },
          /previous WAL record/,
        ],
      ];
      for (const [name, script, why] of reseeds) {
        tell(`a new copy: ${name}`, async () => {
          const { run, result } = await rejoining(world, { script });
          await signedOff(run);
          const { path, why: reasons } = await result;
          assert.equal(path, 'reseed');
          assert.match(reasons.join('; '), why);
          assert.equal(run.of('reseedNode').length, 1);
          assert.ok(run.of('rewindNode').length <= 1);
        });
      }

      tell('a new copy in the place of one whose WAL tells nothing: that is signed off, too', async () => {
        const { endLsn: _end, walFromLsn: _from, digests: _pages, ...blank } = oldNode();
        const { run, result } = await rejoining(world, { script: { examineNode: () => blank } });
        const { evidence } = await pendingOf(run);
        const shown = evidence.facts.map(({ name, value }) => `${name}: ${value}`).join('\n');
        assert.match(
          shown,
          /GIVEN UP: whatever only db-a has: it has no WAL.*\nkept in the vault: nothing; copy \/srv\/a /,
        );
        assert.deepEqual(run.names().filter((name) => [...TOUCHING, 'salvageNode'].includes(name)), []); // prettier-ignore
        await approve(run, { by: 'ben', hash: evidence.hash });
        const { path, approvals, salvage } = await result;
        assert.deepEqual([path, approvals.map(({ by }) => by), salvage], ['reseed', ['ben'], undefined]);
      });

      tell('rewound, and it does not follow: a new copy, and no second rewind', async () => {
        let times = 0;
        const awaitFollowing: Script['awaitFollowing'] = ({ node }) => (++times < 2 ? BAD : { ...BAD, node, ok: true });
        const { run, result } = await rejoining(world, { script: { awaitFollowing } });
        await signedOff(run);
        assert.equal((await result).path, 'reseed');
        assert.deepEqual(
          [run.of('rewindNode').length, run.of('reseedNode').length, run.of('quarantineNode').length],
          [1, 1, 2],
        );
      });

      tell('not even the new copy follows: it fails, and nothing that was kept is removed', async () => {
        const { run, result } = await rejoining(world, { script: { ...CLEAN, awaitFollowing: () => BAD } });
        await endedWith(result, 'Precondition', /not even as a new copy/);
        assert.ok(!run.names().includes('tidyNode'));
      });

      tell('refused: it stays down, and what only it has is there', async () => {
        const { run, result } = await rejoining(world);
        await pendingOf(run);
        await refuse(run, { by: 'ben', reason: 'orders are missing' });
        await endedWith(result, 'Refused', /orders are missing/);
        assert.deepEqual(run.names().filter((name) => TOUCHING.includes(name)), []); // prettier-ignore
        assert.match((await run.progress()).attention ?? '', /db-a is kept down: lifeboat rejoin/);
      });

      tell('it is another one when it is looked at behind the approval', async () => {
        let approved = false;
        const examineNode: Script['examineNode'] = () => oldNode(approved ? { endLsn: '0/5000900' } : {});
        const { run, result } = await rejoining(world, { script: { examineNode } });
        const { evidence } = await pendingOf(run);
        approved = true;
        await approve(run, { by: 'ben', hash: evidence.hash });
        await endedWith(result, 'Precondition', /is not as it was/);
        assert.deepEqual(run.names().filter((name) => TOUCHING.includes(name)), []); // prettier-ignore
      });

      const refusals: [string, Script['observeNode'], RegExp][] = [
        [
          'no primary',
          ({ node }) => (node === 'db-b' ? standbyState(node) : goneState(node, { running: false })),
          /one primary beside it/,
        ],
        [
          'its worker is silent',
          ({ node }) => (node === 'db-b' ? primaryState(node) : goneState(node)),
          /worker of db-a/,
        ],
        ['the primary itself', ({ node }) => (node === 'db-a' ? primaryState(node, { epoch: 3 }) : goneState(node, { running: false })), /is a primary: name the one/], // prettier-ignore
        [
          'the newer of two',
          ({ node }) => primaryState(node, { timeline: node === 'db-a' ? 3 : 2 }),
          /db-a is the older one/,
        ],
        [
          'the newer of two, which is down',
          ({ node }) =>
            node === 'db-b'
              ? primaryState(node, { timeline: 2 })
              : goneState(node, { running: false, control: { ...DOWN, timeline: 3 } }),
          /db-a is the older one: epoch 0, timeline 3/,
        ],
      ];
      for (const [name, observeNode, says] of refusals) {
        tell(`refused before anything is touched: ${name}`, async () => {
          const { run, result } = await rejoining(world, { script: { observeNode } as Script });
          await endedWith(result, 'Precondition', says);
          assert.deepEqual(doneIn(run), [...DESCRIBED, ...LOOKED]);
        });
      }

      tell('a server of another cluster', async () => {
        const { run, result } = await rejoining(world, { script: { examineNode: () => oldNode({ systemId: '8' }) } });
        await endedWith(result, 'Precondition', /another cluster/);
        assert.ok(!run.names().includes('salvageNode'));
      });

      for (const step of [
        'quarantineNode',
        'examineNode',
        'salvageNode',
        'rewindNode',
        'startNode',
        'awaitFollowing',
      ] as const) {
        tell(`cancelled in ${step}: nothing behind it is done`, async () => {
          const reached = Promise.withResolvers<void>();
          const { run, result } = await rejoining(world, {
            before: async (_, name) => {
              if (name !== step) return;
              reached.resolve();
              await untilCancelled();
            },
          });
          if (!['quarantineNode', 'examineNode', 'salvageNode'].includes(step)) await signedOff(run);
          await reached.promise;
          await run.handle.cancel();
          await assert.rejects(result, { message: 'Workflow execution cancelled' });
          assert.deepEqual(doneIn(run).slice(-2), [step, 'writeReport']);
          assert.match((await run.progress()).attention ?? '', /db-a is kept down/);
          assert.match(run.of('writeReport')[0]?.next?.[0] ?? '', /db-a is kept down/);
        });
      }

      tell('a failover that is going on is left alone', async () => {
        const id = await runningFailover(world);
        const run = await world.start('rejoin', {
          ...{ script: LEFT, isInRealTime: true },
          order: () => ({ service: id.slice('failover/'.length), node: 'db-a', by: 'anna' }),
        });
        await endedWith(run.handle.result(), 'Precondition', /a failover of .* is going on/);
        await world.client.workflow.getHandle(id).terminate();
      });

      tell('failback: rejoined, watched, switched over by the planned failover', async () => {
        const board = new Switchboard();
        let isBack = false;
        const script: Script = {
          ...board.script,
          describeCluster: ({ service }) => clusterOf(service, AUTOMATIC),
          startNode: () => void (isBack = true),
          observeNode: ({ node }) => {
            if (node === 'db-b') return primaryState(node, { timeline: 2, lsn: '0/6000000', epoch: 3 });
            return isBack ? standbyState(node, { timeline: 2, lsn: '0/6000000', receiver: { status: 'streaming', timeline: 2 } }) : goneState(node, { running: false }); // prettier-ignore
          },
          demoteNode: () => ({
            ...{ state: 'shut down', timeline: 2, checkpointLsn: '0/6000000' },
            endLsn: '0/6000100',
            rewindable: true,
          }),
          awaitReceived: ({ lsn }) => ({ lsn, timeline: 2, ok: true }),
          locateTraffic: ({ name }) => ({ ...board.where(name), traffic: { 'db-b.example:5432': 100 } }),
          moveTraffic: () => ({ ok: true, found: 'as asked' }),
          ...CLEAN,
        };
        const run = await world.start('failback', {
          script,
          order: (service) => ({ service, by: 'anna', soakMs: 60_000 }),
        });
        const { rejoin, soak, failover, report } = (await run.handle.result()) as FailbackResult;
        assert.deepEqual([rejoin.path, rejoin.node, failover.to, failover.mode], ['follow', 'db-a', 'db-a', 'planned']);
        assert.ok(failover.zeroLoss?.ok && report);
        assert.ok(soak.ms >= 60_000 && soak.breaks === 0);
        assert.ok(run.of('observeNode').length > 10);
      });

      tell('failback: a standby that falls behind begins its soak anew', async () => {
        let looks = 0;
        const streams = { status: 'streaming', timeline: 2 };
        const script: Script = {
          ...new Switchboard().script,
          observeNode: ({ node }) => {
            if (node === 'db-b') return primaryState(node, { timeline: 2, lsn: '0/6000000', epoch: 3 });
            const isBehind = ++looks === 5;
            return standbyState(node, { timeline: 2, lsn: isBehind ? '0/1000000' : '0/6000000', receiver: streams });
          },
          quiesceNode: () => {
            throw failure('Integrity', 'far enough');
          },
          describeCluster: ({ service }) => clusterOf(service, AUTOMATIC),
          locateTraffic: () => ({ traffic: { 'db-b.example:5432': 100 }, token: 0 }),
          moveTraffic: () => ({ ok: true, found: 'as asked' }),
        };
        const run = await world.start('failback', {
          script,
          order: (service) => ({ service, by: 'anna', soakMs: 60_000 }),
        });
        await endedWith(run.handle.result(), 'Integrity', /far enough/);
        const { timeline } = await run.progress();
        assert.ok(timeline.some(({ what }) => /80\.0 MiB behind: the soak begins anew/.test(what)));
        assert.ok(run.of('observeNode').filter(({ node }) => node === 'db-a').length > 11);
        assert.ok(!run.names().includes('quarantineNode'), 'it followed already');
      });

      await Promise.all(told);
    });
  },
);

/** One that waits for somebody to agree. */
async function runningFailover(world: WorkflowWorld): Promise<string> {
  const run = await world.start('failover', {
    ...{ script: new Switchboard().script, isInRealTime: true },
    order: (service) => ({ service, to: 'west', mode: 'planned', by: 'anna' }),
  });
  await pendingOf(run);
  return run.handle.workflowId;
}
