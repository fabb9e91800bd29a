import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { workflowId } from '../../../../workflows/model/names.ts';
import { Load } from '../pair/load.ts';
import { makePairWorld, SERVICE } from '../pair/world.ts';
import { WriteProbe } from '../pair/write-probe.ts';
import { Story } from '../story.ts';
import { failBack, failOver, rejoin, switchOver } from './acts.ts';
import type { FailoverDemoResult, FailoverOutcome } from './outcome.ts';
import { concludeFailover, outcomeLines } from './outcome.ts';
import type { Stage } from './stage.ts';

/** It looks more often, and decides sooner, than one would at home; the loss is one that people are asked about. */
const CLUSTER = {
  objectives: { rto: '2m', rpo: '30s' },
  watch: { every: '500ms', after: { process: '1s' } },
};
/** Both servers are served from for a while, so that there is something to see. */
const LOAD_MS = 1_500;

/** What `npm run demo -- failover` shows: a switchover under load, a primary that dies, its way back, and the way home. */
export async function failoverDemo(signal: AbortSignal): Promise<FailoverDemoResult> {
  const tell = (line: string): void => console.log(line);
  const story = new Story(tell);
  await using world = await makePairWorld({ cluster: CLUSTER, log: tell, signal });
  const { stack, a, b } = world;
  story.add('stack', `Temporal UI ${stack.temporal.ui}, all files below ${stack.dir}`);
  story.add('stack', `${a.node} at ${a.address} (${a.site}) is the primary, ${b.node} at ${b.address} (${b.site}) its standby`); // prettier-ignore
  const use = {
    servers: [a, b],
    address: () => world.balancer.address(),
    logFile: join(stack.dir, 'acknowledged.log'),
  };
  await using load = await Load.begin(a, use);
  await using probe = await WriteProbe.begin(a, [a, b]);
  const outcome = await playAll({ world, story, load, probe, signal, spans: [] });
  const result = await concludeFailover(outcome, 'reports');
  for (const line of outcomeLines(result, outcome)) tell(line);
  return result;
}

async function playAll(stage: Stage): Promise<FailoverOutcome> {
  const { world, story, load, signal } = stage;
  const { a, b, lifeboat } = world;
  await load.served(a, signal);
  story.add('clients', 'write orders where they are sent, and note each one that is acknowledged', 'good');
  story.add('probe', 'tries to write to both servers each 50 ms, and counts who takes it', 'good');
  await lifeboat.must('watch', SERVICE);
  story.add('watch', `$ lifeboat watch ${SERVICE}: ${workflowId.watch(SERVICE)} looks at both all the time`, 'good');
  const aWhile = (): Promise<void> => sleep(LOAD_MS, undefined, { signal });
  await aWhile();
  const planned = await switchOver(stage, b);
  await aWhile();
  const unplanned = await failOver(stage, b, a);
  await aWhile();
  const back = await rejoin(stage, b, unplanned.lostIds);
  const home = await failBack(stage, b, unplanned.lostIds);
  await aWhile();
  return { stage, planned, unplanned, back, home };
}
