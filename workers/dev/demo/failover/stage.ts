import { setTimeout as sleep } from 'node:timers/promises';
import type { RunProgress } from '../../../../workflows/messages.ts';
import type { PendingApproval } from '../../../../workflows/model/approval.ts';
import type { ReportSpan } from '../../../../workflows/model/report.ts';
import type { Load } from '../pair/load.ts';
import type { PairWorld } from '../pair/world.ts';
import type { WriteProbe } from '../pair/write-probe.ts';
import type { Story } from '../story.ts';

const LOOK_MS = 150;
/** Not at every look: that a run has ended without having asked is rare. */
const LOOKS_PER_STATUS = 6;

/** What the acts of the demo play on. */
export interface Stage {
  world: PairWorld;
  story: Story;
  load: Load;
  probe: WriteProbe;
  signal: AbortSignal;
  /** Steps of the runs, for the picture. */
  spans: ReportSpan[];
}

/** What came of a run that somebody ordered and somebody else agreed to. */
export interface Played<Result> {
  result: Result;
  /** What ben was shown; undefined: nobody had to agree. */
  pending: PendingApproval | undefined;
}

export interface Wish {
  /** The command line, without who gives it. */
  words: string[];
  /** Workflow id of the run that it starts, and of the one that asks. */
  run: string;
  asks: string;
}

/** Anna orders, Ben is shown what it rests on and agrees: two people, both played here, by the product's own commands. */
export async function play<Result>(stage: Stage, { words, run, asks }: Wish): Promise<Played<Result>> {
  const { world, story } = stage;
  const { lifeboat } = world;
  story.add('anna', `$ lifeboat ${words.join(' ')}`, 'work');
  await lifeboat.must(...words, '--as', 'anna', '--detach');
  const pending = await askedFor(stage, { run, asks });
  if (pending) {
    const hash = pending.evidence.hash.slice(0, 8);
    story.add(
      'ben',
      `sees ${pending.evidence.facts.length} facts; $ lifeboat approve ${asks} --evidence ${hash}`,
      'wait',
    );
    await lifeboat.must('approve', asks, '--evidence', hash, '--as', 'ben');
  }
  const { result } = await lifeboat.must<{ result: Result }>('status', run, '--follow');
  for (const each of new Set([run, asks])) stage.spans.push(...(await spansOf(stage, each)));
  return { result, pending };
}

interface RunNow {
  run?: { status: string };
  progress?: RunProgress;
}

/** Undefined when the run has ended without having asked. */
async function askedFor(
  { world, signal }: Stage,
  { run, asks }: Omit<Wish, 'words'>,
): Promise<PendingApproval | undefined> {
  for (let look = 1; ; look++) {
    const asked = await world.lifeboat.ask('approve', asks);
    if (asked.code === 0) return asked.json['pending'] as PendingApproval;
    if (look % LOOKS_PER_STATUS === 0) {
      const now = (await world.lifeboat.ask('status', run)).json as RunNow;
      if (now.run && now.run.status !== 'RUNNING') return undefined;
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}

/** What a run says that somebody should do. */
export async function urged(stage: Stage, run: string, what: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const { progress } = (await stage.world.lifeboat.ask('status', run)).json as RunNow;
    const found = what.exec(progress?.attention ?? '');
    if (found) return found;
    await sleep(LOOK_MS, undefined, { signal: stage.signal });
  }
}

/** Said of the step before. */
const PASSING = /^attention: |^back to normal$| approves /;

/** Each entry of a run's own timeline lasts until the next one; what took no time at all is left out. */
async function spansOf({ world }: Stage, run: string): Promise<ReportSpan[]> {
  const { progress } = await world.lifeboat.must<RunNow>('status', run);
  const timeline = (progress?.timeline ?? []).filter(({ what }) => !PASSING.test(what));
  return timeline.flatMap(({ at, what }, index) => {
    const to = timeline[index + 1]?.at;
    if (to === undefined || to === at) return [];
    const tone = what.startsWith('wait for approval') ? ('wait' as const) : ('work' as const);
    return [{ lane: run, label: what, from: at, to, tone }];
  });
}
