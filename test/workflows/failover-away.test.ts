import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterFacts } from '../../workflows/model/cluster.ts';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { SwitchFacts } from '../../workflows/model/service.ts';
import { END } from '../support/failover-answers.ts';
import type { FailoverStory } from '../support/failover-story.ts';
import { AUTOMATIC, DEAD, endedWith, failingOver, PLANNED, THERE, UNPLANNED } from '../support/failover-story.ts';
import { approve, EVERYBODY_AT, pendingOf } from '../support/switchboard.ts';
import { HOME, serviceOf } from '../support/workflow-answers.ts';
import type { Script, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const TOGETHER = 5;
const TOLERANT: Partial<ClusterFacts> = { ...AUTOMATIC, objectives: { rpoMs: 86_400_000 } };
const COMPUTE: SwitchFacts[] = [
  { name: 'tasks', kind: 'ecs', weighted: false, sites: ['east', 'west'], overlaps: true, stops: false },
  { name: 'pool', kind: 'command', weighted: true },
];

interface Away {
  name: string;
  type: FailureType;
  /** Only what tries whether it could move is refused. */
  checkOnly?: true;
  /** It answers from its nth look on. */
  untilLook?: number;
}

interface Use {
  away?: readonly Away[];
  /** Of `tasks`, at every move. */
  stuck?: FailureType;
  script?: Script;
  cluster?: Partial<ClusterFacts>;
  input?: Record<string, unknown>;
  skipsTime?: true;
}

async function story(world: WorkflowWorld, use: Use): Promise<FailoverStory> {
  const looks = new Map<string, number>();
  const made: { board?: FailoverStory['board'] } = {};
  const board = async (): Promise<FailoverStory['board']> => {
    while (!made.board) await new Promise((resolve) => setTimeout(resolve, 10));
    return made.board;
  };
  const script: Script = {
    ...DEAD,
    readSample: ({ timeline }) => ({
      sample: { at: new Date().toISOString(), timeline, lsn: END, bytesPerSecond: 0 },
    }),
    ...(use.stuck ? { describeService: ({ source }) => serviceOf(source, { traffic: COMPUTE }) } : {}),
    locateTraffic: async ({ name, check }) => {
      const look = (looks.get(name) ?? 0) + 1;
      looks.set(name, look);
      const away = use.away?.find((each) => each.name === name);
      const isRefused = away && look < (away.untilLook ?? Infinity) && (!away.checkOnly || check);
      if (isRefused) throw failure(away.type, `nothing of ${name}`);
      return (await board()).where(name);
    },
    moveTraffic: async (task) => {
      if (task.name === 'tasks' && use.stuck && 'west' in task.to) throw failure(use.stuck, 'no room for tasks');
      return (await board()).move(task);
    },
    ...use.script,
  };
  const input = use.input ?? UNPLANNED;
  const told = await failingOver(world, {
    ...{ input, cluster: use.cluster ?? TOLERANT, script },
    ...(use.skipsTime ? { skipsTime: true as const } : {}),
  });
  if (use.stuck) told.board.at.set('tasks', { traffic: { east: 100 }, token: 0 });
  made.board = told.board;
  return told;
}

const riskOf = (facts: readonly { name: string; value: string }[]): string =>
  facts
    .filter(({ name }) => name === 'RISK')
    .map(({ value }) => value)
    .join('\n');

test('unplanned: what is gone with its site keeps nobody from being served', { concurrency: TOGETHER, timeout: 240_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

    tell('a switch that does not answer: somebody has to agree, the others move, and it is said what is left', async () => {
      const { run, board, result } = await story(world, { away: [{ name: 'pool', type: 'Unavailable' }] });
      const { evidence } = await pendingOf(run);
      assert.match(riskOf(evidence.facts), /^switch pool does not answer, .*: nothing of pool/);
      await approve(run, { by: 'ben', hash: evidence.hash });
      const { next, traffic } = await result;
      assert.deepEqual(board.moves, ['dns: stopped', 'dns: db-b.example:5432']);
      assert.deepEqual(board.traffic(), { pool: HOME, dns: THERE });
      assert.match(next.join('\n'), /switch pool has not moved: send it to db-b\.example:5432 by hand/);
      assert.deepEqual(traffic.map(({ name }) => name), ['dns']); // prettier-ignore
      assert.match((await run.progress()).attention ?? '', /switch pool has not moved/);
    });

    tell('one that is back by then is moved behind the others', async () => {
      const away: Away = { name: 'pool', type: 'Unavailable', untilLook: 3 };
      const { run, board, result } = await story(world, { away: [away] });
      await approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash });
      const { next } = await result;
      assert.deepEqual(board.moves, ['dns: stopped', 'dns: db-b.example:5432', 'pool: db-b.example:5432']);
      assert.ok(!next.some((line) => line.includes('switch pool')), next.join('\n'));
    });

    tell('none answers: promoted all the same, and it is waited for the first of them', async () => {
      const away = ['pool', 'dns'].map((name): Away => ({ name, type: 'Unavailable', untilLook: 5 }));
      const { run, board, result } = await story(world, { away });
      await approve(run, { by: 'ben', hash: (await pendingOf(run)).evidence.hash });
      await result;
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
    });

    tell('one that would be refused today, a TTL too high: a note, and it moves', async () => {
      const away: Away = { name: 'dns', type: 'Precondition', checkOnly: true };
      const { run, board, result } = await story(world, { away: [away], cluster: { objectives: TOLERANT.objectives ?? {} } });
      const { evidence } = await pendingOf(run);
      assert.equal(riskOf(evidence.facts), '');
      assert.ok(evidence.facts.some(({ name, value }) => name === 'note' && value === 'switch dns: nothing of dns'));
      await approve(run, { by: 'ben', hash: evidence.hash });
      await result;
      assert.deepEqual(board.traffic(), EVERYBODY_AT(THERE));
    });

    tell('planned: nothing is begun', async () => {
      const away: Away = { name: 'dns', type: 'Precondition', checkOnly: true };
      const { board, result } = await story(world, { away: [away], input: PLANNED, script: { observeNode: undefined } as never });
      await endedWith(result, 'Precondition', /nothing of dns/);
      assert.deepEqual(board.moves, []);
    });

    tell('what fails before the promotion leaves it alone', async () => {
      const fence: ClusterFacts['fence'] = [{ by: 'traffic', confirms: true }];
      const { board, run, result } = await story(world, {
        ...{ away: [{ name: 'pool', type: 'Unavailable' }], cluster: { ...TOLERANT, fence } },
      });
      // It leads clients on: a fence that stands on the traffic alone is none.
      await endedWith(result, 'Precondition', /two primaries/);
      assert.deepEqual(board.moves, ['dns: stopped', 'dns: db.example:5432']);
      assert.deepEqual(run.of('writeReport')[0]?.change?.fence?.map(({ outcome, found }) => [outcome, found]), [['unconfirmed', 'not stopped: pool']]); // prettier-ignore
    });

    tell('a site that cannot come up: a risk for those who have to agree, and the database serves', async () => {
      const { run, result } = await story(world, { stuck: 'Denied', cluster: { objectives: TOLERANT.objectives ?? {} } });
      const { evidence } = await pendingOf(run);
      assert.match(riskOf(evidence.facts), /site west does not come up: no room for tasks/);
      await approve(run, { by: 'ben', hash: evidence.hash });
      const { next } = await result;
      assert.match(next.join('\n'), /wait until site west is up: no room for tasks/);
    });

    await Promise.all(told);

    await t.test('a site that comes up for ever: fenced and promoted meanwhile; clients wait for it, not for ever', async () => {
      const { run, board, result } = await story(world, { stuck: 'Unavailable', skipsTime: true });
      const { next, steps } = await result;
      assert.match(next.join('\n'), /site west is not up after 5m/);
      assert.deepEqual(board.moves, ['pool: stopped', 'pool: db-b.example:5432']);
      const names = run.names();
      assert.ok(names.indexOf('promoteNode') < names.lastIndexOf('moveTraffic'));
      const waited = steps.find(({ name }) => name === 'wait until site west is up')?.ms ?? 0;
      assert.ok(waited >= 300_000 && waited < 400_000, `${waited} ms`);
    });

    await t.test('one that is coming up when all fails is taken down again', async () => {
      const fenceNode: Script['fenceNode'] = ({ step }) => ({ step: step.by, outcome: 'unconfirmed', found: 'no word' });
      const { board, result } = await story(world, { stuck: 'Unavailable', script: { fenceNode } });
      await endedWith(result, 'Precondition', /two primaries/);
      assert.deepEqual([board.where('tasks').traffic, board.where('pool').traffic], [{ east: 100 }, HOME]);
    });
  });
}); // prettier-ignore
