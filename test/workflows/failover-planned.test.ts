import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeState } from '../../workflows/model/cluster.ts';
import type { FailoverPreview, FailoverResult } from '../../workflows/model/failover.ts';
import { failure } from '../../workflows/model/failure.ts';
import { clusterOf, DB_C, END, goneState, primaryState, standbyState } from '../support/failover-answers.ts';
import {
  AUTOMATIC,
  DESCRIBED,
  doneIn,
  endedWith,
  failingOver,
  FORWARD,
  LOOKED,
  MOVED,
  OPENED,
  PLANNED,
  takenBack,
  THERE,
} from '../support/failover-story.ts';
import { approve, EVERYBODY_AT, NOBODY, pendingOf } from '../support/switchboard.ts';
import { HOME, untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, Script, TestRun } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const BEFORE: ActivityName[] = [...DESCRIBED, ...LOOKED];
const PREPARED: ActivityName[] = ['writeMarker', 'awaitFollowing', 'checkpointNode'];
const DOWN: ActivityName[] = [...MOVED, 'quiesceNode', 'demoteNode', 'awaitReceived'];
const REJOINED: ActivityName[] = ['startNode', 'awaitFollowing'];

const THERE_AND_BACK = ['pool: stopped', 'dns: stopped', 'dns: db.example:5432', 'pool: db.example:5432'];

/** Every step before the point of no return; what takes them back, in its order. */
const STEPS: [step: ActivityName, undone: ActivityName[], moves: string[]][] = [
  ['writeMarker', [], []],
  ['awaitFollowing', [], []],
  ['checkpointNode', [], []],
  ['quiesceNode', ['unquiesceNode'], THERE_AND_BACK],
  ['demoteNode', ['reinstateNode', 'unquiesceNode'], THERE_AND_BACK],
  ['awaitReceived', ['reinstateNode', 'unquiesceNode'], THERE_AND_BACK],
];

const TOGETHER = 6;

/** What each node was told. */
function assertOrders(run: TestRun): void {
  const [marked, after] = run.of('writeMarker');
  assert.deepEqual([marked?.node, after?.node, marked?.epoch, after?.epoch], ['db-a', 'db-b', 3, 3]);
  assert.notEqual(marked?.marker, after?.marker);
  assert.deepEqual(
    run.of('awaitFollowing').map(({ marker, timeline }) => [marker, timeline]),
    [
      [marked?.marker, 1],
      [after?.marker, 2],
    ],
  );
  assertPromoted(run);
}

function assertPromoted(run: TestRun): void {
  const [promoted] = run.of('promoteNode');
  assert.deepEqual([promoted?.followers, promoted?.lsn, promoted?.timeline], [['db-a'], END, 1]);
  assert.deepEqual(run.of('startNode')[0]?.dropSlots, ['by_hand']);
}

/** The report says what the answer says, and who agreed to what. */
function assertReport(run: TestRun, result: FailoverResult, hash: string): void {
  const [report] = run.of('writeReport');
  assert.ok(report?.change);
  const { change, steps, outage, next, rto } = report;
  assert.deepEqual([change.approvals, change.evidence?.hash, change.epoch], [result.approvals, hash, 3]);
  assert.deepEqual([change.traffic, change.plan?.to, change.promotion], [result.traffic, 'db-b', result.promotion]);
  assert.deepEqual([next, outage?.ms, rto?.objectiveMs], [result.next, result.outageMs, 300_000]);
  assert.deepEqual(steps?.map(({ name, ms }) => ({ name, ms })), result.steps); // prettier-ignore
}

test('failover, planned: fenced by order of steps', { concurrency: TOGETHER, timeout: 240_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

    tell('looked at, approved, looked at again, taken down, proven, promoted, served, followed', async () => {
      const { run, board, result } = await failingOver(world);
      const { evidence, what } = await pendingOf(run);
      assert.match(what, /^switch source-\d+ over from db-a to db-b$/);
      assert.deepEqual(board.moves, []);
      await approve(run, { by: 'ben', hash: evidence.hash });
      const { zeroLoss, promotion, address, approvals, epoch, rejoined, report, traffic, steps } = await result;
      assert.deepEqual(doneIn(run), [
        ...[...BEFORE, ...OPENED, ...LOOKED, 'weighFacts' as const, ...LOOKED, 'weighFacts' as const, ...PREPARED],
        ...[...DOWN, ...FORWARD, ...REJOINED, 'checkService' as const, 'writeReport' as const],
      ]);
      assert.deepEqual(zeroLoss, {
        ...{ timeline: 1, shutdownEndLsn: END, receivedLsn: END, forkLsn: END, newTimeline: 2, ok: true },
      });
      assert.deepEqual([promotion.node, address, epoch, rejoined?.ok], ['db-b', 'db-b.example:5432', 3, true]);
      assert.deepEqual(approvals.map(({ by }) => by), ['ben']); // prettier-ignore
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
      assert.deepEqual(traffic.map(({ from }) => from), [HOME, HOME]); // prettier-ignore
      assert.ok(report && steps.length > 8);
      assertOrders(run);
      assertReport(run, await result, evidence.hash);
    });

    tell('the other standbys follow the new primary; one that does not is named, and holds up nothing', async () => {
      const { nodes } = clusterOf('x');
      const fourth = { ...DB_C, name: 'db-d', site: 'south', address: 'db-d.example', dataDir: '/srv/d' };
      const cluster = { ...AUTOMATIC, nodes: [...nodes, DB_C, fourth] };
      const slotOf = (slot: string): Partial<NodeState> => ({ receiver: { status: 'streaming', timeline: 1, slot } });
      const { run, board, result } = await failingOver(world, {
        cluster,
        script: {
          observeNode: ({ node }) =>
            node === 'db-a' ? primaryState(node) : standbyState(node, slotOf(`slot_${node}`)),
          repointNode: ({ node }) => {
            if (node === 'db-d') throw failure('Precondition', 'db-d obeys a newer run');
            return { ok: true, found: 'follows' };
          },
        },
      });
      const { others, next, rejoined, promotion } = await result;
      assert.deepEqual(run.of('promoteNode')[0]?.followers, ['db-a', 'db-c', 'db-d']);
      const [told] = run.of('repointNode').filter(({ node }) => node === 'db-c');
      assert.deepEqual(
        [told?.upstream, told?.forkLsn, told?.oldTimeline, told?.epoch],
        ['db-b', promotion.forkLsn, 1, 3],
      );
      assert.deepEqual(run.of('startNode')[0]?.dropSlots, ['slot_db-b', 'slot_db-c', 'slot_db-d']);
      assert.deepEqual(others?.map(({ node, ok }) => [node, ok]), [['db-c', true], ['db-d', false]]); // prettier-ignore
      assert.ok(rejoined?.ok);
      assert.deepEqual(next.filter((line) => line.includes('db-')).length, 1);
      assert.match(next.join('; '), /db-d does not follow db-b: lifeboat rejoin source-\d+ db-d/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
    });

    tell('a dry run looks, and touches nothing', async () => {
      const { run, result } = await failingOver(world, { input: { ...PLANNED, dryRun: true } });
      const preview = (await result) as unknown as FailoverPreview;
      assert.ok(preview.preview && preview.ok);
      assert.equal(preview.plan.steps.filter(({ pointOfNoReturn }) => pointOfNoReturn).length, 1);
      assert.deepEqual(doneIn(run), BEFORE);
    });

    tell('evidence that changes while it is approved is asked for again', async () => {
      let looks = 0;
      const observeNode: Script['observeNode'] = ({ node }) =>
        node === 'db-a' ? primaryState(node) : standbyState(node, ++looks > 2 ? { by: 'another' } : {});
      const { run, result } = await failingOver(world, { script: { observeNode } });
      const first = await pendingOf(run);
      await approve(run, { by: 'ben', hash: first.evidence.hash });
      const second = await pendingOf(run, first.evidence.hash);
      assert.ok(!run.names().includes('writeMarker'));
      await approve(run, { by: 'carl', hash: second.evidence.hash });
      assert.deepEqual((await result).approvals.map(({ by }) => by), ['carl']); // prettier-ignore
    });

    for (const [name, observe, says] of refusals()) {
      tell(`refused before anything is touched: ${name}`, async () => {
        const observeNode: Script['observeNode'] = ({ node }) => observe(node);
        const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { observeNode } });
        await endedWith(result, 'Precondition', says);
        assert.deepEqual([doneIn(run), board.moves], [BEFORE, []]);
      });
    }

    tell('a site that is not there', async () => {
      const { result, run } = await failingOver(world, { input: { ...PLANNED, to: 'wset' } });
      await endedWith(result, 'NotFound', /has no site wset.*did you mean west/);
      assert.ok(!run.names().includes('observeNode'));
    });

    tell('traffic that is sent elsewhere belongs to somebody else', async () => {
      const locateTraffic: Script['locateTraffic'] = () => ({ traffic: { 'other:5432': 100 }, token: 0 });
      const { run, result } = await failingOver(world, { cluster: AUTOMATIC, script: { locateTraffic } });
      await endedWith(result, 'Precondition', /switch pool: .*other:5432/);
      assert.ok(!run.names().includes('writeMarker'));
    });

    for (const [step, undone, moves] of STEPS) {
      tell(`${step} fails: taken back, and nothing is promoted`, async () => {
        const broken = (): never => {
          throw failure('Integrity', 'broken in the test');
        };
        const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { [step]: broken } });
        await endedWith(result, 'Integrity', /broken in the test/);
        assert.deepEqual(takenBack(run), undone);
        assert.deepEqual([board.moves, board.traffic()], [moves, EVERYBODY_AT(HOME)]);
        const [report] = run.of('writeReport');
        assert.equal(report?.outcome, 'failed');
        // Over when traffic went where it had gone; nobody was without before it was stopped.
        assert.equal(report?.outage?.to !== undefined, moves.length > 0);
        assert.ok(!run.names().includes('promoteNode') && !run.names().includes('startNode'));
        assert.deepEqual(run.of('notify').map(({ severity }) => severity), [moves.length > 0 ? 'critical' : 'error']); // prettier-ignore
      });

      tell(`cancelled in ${step}: taken back, and nothing is promoted`, async () => {
        const reached = Promise.withResolvers<void>();
        const { run, board, result } = await failingOver(world, {
          cluster: AUTOMATIC,
          before: async (_, name) => {
            if (name !== step) return;
            reached.resolve();
            await untilCancelled();
          },
        });
        await reached.promise;
        await run.handle.cancel();
        await assert.rejects(result, { message: 'Workflow execution cancelled' });
        assert.deepEqual(takenBack(run), undone);
        assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
        assert.ok(!run.names().includes('promoteNode'));
        const [report] = run.of('writeReport');
        assert.deepEqual([report?.outcome, report?.failure?.type], ['failed', 'Cancelled']);
      });
    }

    tell('the candidate lacks the last record: the old primary serves again', async () => {
      const awaitReceived: Script['awaitReceived'] = () => ({ lsn: '0/50000F8', timeline: 1, ok: false });
      const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { awaitReceived } });
      await endedWith(result, 'Precondition', /db-b lacks 8 bytes of what db-a wrote/);
      assert.deepEqual(takenBack(run), ['reinstateNode', 'unquiesceNode']);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
    });

    tell('a shutdown that was none: no exit code counts', async () => {
      const demoteNode: Script['demoteNode'] = () => ({
        ...{ state: 'in production', timeline: 1, checkpointLsn: '0/5000088', rewindable: true },
      });
      const { run, result } = await failingOver(world, { cluster: AUTOMATIC, script: { demoteNode } });
      await endedWith(result, 'Precondition', /was not shut down in good order/);
      assert.ok(!run.names().includes('awaitReceived') && run.names().includes('reinstateNode'));
    });

    tell('it takes too long: taken back', async () => {
      const limits = { ...clusterOf('').limits, outageMs: 300 };
      const { run, board, result } = await failingOver(world, {
        cluster: { ...AUTOMATIC, limits },
        before: (_, name) => (name === 'demoteNode' ? untilCancelled() : undefined),
      });
      await endedWith(result, 'Precondition', /to take db-a down takes too long/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
      assert.ok(!run.names().includes('promoteNode'));
    });

    for (const step of ['promoteNode', 'startNode'] as const) {
      tell(`cancelled in ${step}: there is only forward`, async () => {
        const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const { run, board, result } = await failingOver(world, {
          cluster: AUTOMATIC,
          before: async (_, name) => {
            if (name !== step) return;
            reached.resolve();
            await go.promise;
          },
        });
        await reached.promise;
        await run.handle.cancel();
        go.resolve();
        assert.equal((await result).rejoined?.ok, true);
        assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
        assert.deepEqual(takenBack(run), []);
        const { timeline } = await run.progress();
        assert.ok(timeline.some(({ what }) => /cancelled too late.*only forward/.test(what)));
      });
    }

    tell('a promotion that is not seen to be done is looked at again', async () => {
      let looks = 0;
      const promoteNode: Script['promoteNode'] = ({ node, timeline, lsn }) => {
        if (++looks < 3) throw failure('Unavailable', 'db-b has not left recovery yet');
        return { node, timeline: 2, oldTimeline: timeline, forkLsn: lsn, at: '2026-01-05T03:00:01.000Z' };
      };
      const { run, result } = await failingOver(world, { cluster: AUTOMATIC, script: { promoteNode } });
      await result;
      assert.equal(run.of('promoteNode').length, 3);
      assert.ok(!run.names().slice(0, run.names().lastIndexOf('promoteNode')).includes('startNode'));
    });

    tell('a candidate that was not asked to be promoted: there still is a way back', async () => {
      const promoteNode = (): never => {
        throw failure('Precondition', 'db-b is not where it was', { evidence: { notAsked: true } });
      };
      const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { promoteNode } });
      await endedWith(result, 'Precondition', /db-b is not where it was/);
      assert.deepEqual(takenBack(run), ['reinstateNode', 'unquiesceNode']);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(HOME));
    });

    tell('one of which nobody knows: the old primary stays down', async () => {
      const promoteNode = (): Promise<never> => Promise.reject(failure('Denied', 'db-b refuses us'));
      const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { promoteNode } });
      await endedWith(result, 'Denied', /db-b refuses us/);
      assert.deepEqual([takenBack(run), board.traffic()], [[], NOBODY]);
    });

    tell('a timeline that begins elsewhere: nobody is served, the old primary stays down', async () => {
      const promoteNode: Script['promoteNode'] = ({ node }) => ({
        ...{ node, timeline: 2, oldTimeline: 1, forkLsn: '0/5000200', at: '2026-01-05T03:00:01.000Z' },
      });
      const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { promoteNode } });
      await endedWith(result, 'Integrity', /does not begin where its old one ended/);
      assert.deepEqual(board.traffic(), NOBODY);
      assert.ok(!run.names().includes('startNode') && !run.names().includes('reinstateNode'));
    });

    tell(
      'a marker that cannot be written behind the promotion is told, and keeps nobody from being served',
      async () => {
        const deny = (): never => {
          throw failure('Denied', 'the disk is write-protected');
        };
        const writeMarker: Script['writeMarker'] = ({ node, marker }) =>
          node === 'db-b' ? deny() : { marker, lsn: '0/5000080', timeline: 1 };
        const script = {
          writeMarker,
          checkpointNode: ({ node }: { node: string }) => (node === 'db-b' ? deny() : undefined),
        };
        const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script });
        const { next, rejoined } = await result;
        assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
        assert.deepEqual(next.slice(0, 2), [
          'not done: write a marker on db-b: the disk is write-protected',
          'not done: checkpoint db-b: the disk is write-protected',
        ]);
        assert.deepEqual([rejoined?.ok, run.of('startNode').length], [false, 1], 'a standby that nothing proves');
        const { attention, outcome } = await run.progress();
        assert.match(attention ?? '', /write a marker on db-b.*checkpoint db-b/);
        assert.equal(outcome, 'done');
      },
    );

    tell('an old primary that does not follow is told, and no failure', async () => {
      const startNode = (): Promise<never> => Promise.reject(failure('Denied', 'no start'));
      const { run, board, result } = await failingOver(world, { cluster: AUTOMATIC, script: { startNode } });
      const { rejoined, next } = await result;
      assert.equal(rejoined?.ok, false);
      assert.match(next[0] ?? '', /keep db-a away from every client/);
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
      assert.match((await run.progress()).attention ?? '', /db-a does not follow db-b/);
      const said = run.of('notify').map(({ severity, title, body }) => `${severity}: ${title}\n${body}`);
      assert.match(said[0] ?? '', /^error: .*: db-a does not follow db-b\nstarts: no start\nlifeboat rejoin source-\d+ db-a$/); // prettier-ignore
    });

    tell('a new primary that waits for a standby gets one before it gets clients', async () => {
      const settings = { ...standbyState('db-b').settings, synchronous_standby_names: '*' };
      const observeNode: Script['observeNode'] = ({ node }) =>
        node === 'db-a' ? primaryState(node) : standbyState(node, { settings });
      const { run, result } = await failingOver(world, { cluster: AUTOMATIC, script: { observeNode } });
      await result;
      const names = doneIn(run);
      assert.ok(names.indexOf('startNode') < names.lastIndexOf('moveTraffic'));
    });

    await Promise.all(told);
  });
});

/** What one of the two says that keeps a switchover from beginning. */
function refusals(): [name: string, observe: (node: string) => NodeState, says: RegExp][] {
  const a = (changes: Partial<NodeState>) => (node: string) =>
    node === 'db-a' ? primaryState(node, changes) : standbyState(node);
  const b = (changes: Partial<NodeState>) => (node: string) =>
    node === 'db-a' ? primaryState(node) : standbyState(node, changes);
  const settings = standbyState('db-b').settings ?? {};
  return [
    ['two primaries', (node) => primaryState(node), /exactly one primary/],
    [
      'the primary is gone',
      (node) => (node === 'db-a' ? goneState(node) : standbyState(node)),
      /--unplanned --dry-run/,
    ],
    ['another cluster', b({ systemId: '8' }), /one cluster: 8/],
    ['another version', b({ version: 170_005 }), /one major version: PostgreSQL 17/],
    ['another timeline', b({ timeline: 2 }), /one timeline: timeline 2/],
    ['no stream', b({ receiver: { status: 'waiting', timeline: 1 } }), /candidate streams: waiting on timeline 1/],
    ['clocks apart', b({ receiver: { status: 'streaming', timeline: 1, skewMs: -9e4 } }), /clocks agree: db-b is 1m30s/], // prettier-ignore
    ['nobody that it sends to', a({ senders: [] }), /primary sends: none/],
    ['too far behind', b({ lsn: '0/1000000' }), /lag: 64\.0 MiB, expected at most 16\.0 MiB/],
    ['a replay that is held', b({ held: true }), /candidate replays: paused/],
    ['settings too small', a({ settings: { ...settings, max_connections: '10' } }), /max_connections 10 < 100/],
    [
      'read-only',
      b({ settings: { ...settings, default_transaction_read_only: 'on' } }),
      /db-b takes writes.*on, expected/,
    ],
    [
      'no way back',
      a({ reaches: [{ node: 'db-b', ok: false, found: 'no pg_hba.conf entry' }] }),
      /login from db-a at db-b: no pg_hba/,
    ],
    ['a base backup', a({ busyWith: ['base backups: 1'] }), /nothing that db-a would break: base backups: 1/],
    ['a server that its worker does not see', b({ running: false }), /worker of db-b: db1 sees none/],
    [
      'the target is the primary',
      (node) => (node === 'db-b' ? primaryState(node) : standbyState(node)),
      /is the primary already/,
    ],
  ];
}
