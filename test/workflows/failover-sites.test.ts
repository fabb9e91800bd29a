import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailoverPreview } from '../../workflows/model/failover.ts';
import type { SwitchFacts } from '../../workflows/model/service.ts';
import type { Traffic } from '../../workflows/model/traffic.ts';
import { failure } from '../../workflows/model/failure.ts';
import { END } from '../support/failover-answers.ts';
import type { FailoverStory } from '../support/failover-story.ts';
import { AUTOMATIC, DEAD, endedWith, failingOver, PLANNED, UNPLANNED } from '../support/failover-story.ts';
import { HOME, serviceOf } from '../support/workflow-answers.ts';
import type { Script, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const SITES = ['east', 'west'];
const compute = (name: string, ...sites: string[]): SwitchFacts => ({
  ...{ name, kind: 'ecs', weighted: false, sites, overlaps: true, stops: false },
});
const SWITCHES: SwitchFacts[] = [
  compute('east-tasks', 'east'),
  { ...compute('west-tasks', 'west'), up: { west: '6 tasks of web' } },
  compute('pods', ...SITES),
  { name: 'pool', kind: 'command', weighted: true },
  { name: 'active', kind: 'ssm', weighted: false, sites: SITES },
];
const AT: Record<string, Traffic> = {
  ...{ 'east-tasks': { east: 100 }, 'west-tasks': {}, pods: { east: 100 } },
  ...{ pool: HOME, active: { east: 100 } },
};

async function story(
  world: WorkflowWorld,
  use: { input: Record<string, unknown>; script?: Script; away?: string },
): Promise<FailoverStory> {
  const describeService: Script['describeService'] = ({ source }) => serviceOf(source, { traffic: SWITCHES });
  const made: { board?: FailoverStory['board'] } = {};
  const at = async (name: string): Promise<FailoverStory['board']> => {
    while (!made.board) await new Promise((resolve) => setTimeout(resolve, 10));
    if (name === use.away) throw failure('Precondition', `nobody answers for ${name}`);
    return made.board;
  };
  const script: Script = {
    describeService,
    locateTraffic: async ({ name }) => (await at(name)).where(name),
    moveTraffic: async (task) => (await at(task.name)).move(task),
    ...use.script,
  };
  const told = await failingOver(world, { input: use.input, cluster: AUTOMATIC, script });
  for (const [name, traffic] of Object.entries(AT)) told.board.at.set(name, { traffic, token: 0 });
  made.board = told.board;
  return told;
}

const FORWARD = [
  ...['west-tasks: west', 'pods: east, west', 'pool: stopped', 'active: stopped'],
  ...['pool: db-b.example:5432', 'active: west'],
];

test('failover of what goes by sites: up before traffic moves, down behind it', { timeout: 240_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('those who have to agree see what comes up, what moves and what goes down', async () => {
      const { run, result } = await story(world, { input: { ...PLANNED, dryRun: true } });
      const { plan } = (await result) as unknown as FailoverPreview;
      const shown = plan.steps.map(({ what }) => what);
      assert.equal(shown[1], 'bring up site west: west-tasks (ecs): 6 tasks of web; pods (ecs)');
      assert.equal(shown.at(-1), 'take down site east: east-tasks (ecs); pods (ecs)');
      assert.ok(!run.names().includes('locateTraffic'));
    });

    await t.test('planned: the old site is taken down at the end', async () => {
      const { board, result } = await story(world, { input: PLANNED });
      const { next, traffic } = await result;
      assert.deepEqual(board.moves, [...FORWARD, 'pods: west', 'east-tasks: stopped']);
      assert.ok(!next.some((line) => line.includes('take down')), next.join('\n'));
      assert.deepEqual(traffic.find(({ name }) => name === 'active')?.to, { west: 100 });
    });

    await t.test('planned: an old site that does not answer keeps nobody from ending', async () => {
      const { board, result } = await story(world, { input: PLANNED, away: 'east-tasks' });
      const { next } = await result;
      assert.deepEqual(board.moves.slice(0, FORWARD.length), FORWARD);
      assert.match(next.join('\n'), /take down what still works at east: .*nobody answers for east-tasks/);
    });

    await t.test('unplanned: nothing of the site that is gone is asked', async () => {
      const at = new Date().toISOString();
      const readSample: Script['readSample'] = ({ timeline }) => ({
        sample: { at, timeline, lsn: END, bytesPerSecond: 0 },
      });
      const script = { ...DEAD, readSample };
      const { board, run, result } = await story(world, { input: UNPLANNED, away: 'east-tasks', script });
      await result;
      // Beside the stop of the traffic, which does not wait for it.
      assert.deepEqual(board.moves.toSorted(), FORWARD.toSorted());
      assert.ok(board.moves.indexOf('pods: east, west') < board.moves.indexOf('pool: db-b.example:5432'));
      assert.ok(!run.of('locateTraffic').some(({ name }) => name === 'east-tasks'));
    });

    await t.test('a failure before the promotion puts all of it back, what came up too', async () => {
      const script: Script = { demoteNode: () => Promise.reject(failure('Precondition', 'it does not stop')) };
      const { board, result } = await story(world, { input: PLANNED, script });
      await endedWith(result, 'Precondition', /it does not stop/);
      const now = Object.fromEntries(SWITCHES.map(({ name }) => [name, board.where(name).traffic]));
      assert.deepEqual(now, AT);
    });
  });
});
