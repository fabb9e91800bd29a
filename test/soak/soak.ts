import { ACTIONS, drawAction } from './actions/index.ts';
import type { Action } from './actions/action.ts';
import { keepArtefacts } from './artefacts.ts';
import { checkEnd, checkInvariants } from './invariants.ts';
import type { SoakOptions } from './options.ts';
import { randomOf } from './random.ts';
import type { World } from './world/world.ts';
import { withWorld } from './world/world.ts';

export interface Done {
  number: number;
  name: string;
  did: string;
  seconds: number;
}

export interface SoakResult {
  ok: boolean;
  seed: number;
  minutes: number;
  done: Done[];
  /** What the last line tells: actions by kind, restores and rows compared, faults. */
  counts: World['counts'];
  failure?: { action: number; name: string; message: string; replay: string; artefacts: string };
}

/** Draws and does one action after the other, until time is up, something is wrong, or it is told to end. */
export function soak(options: SoakOptions, signal: AbortSignal, tell: (line: string) => void): Promise<SoakResult> {
  const startMs = performance.now();
  return withWorld(options, signal, async (world) => {
    const done: Done[] = [];
    const { counts } = world;
    let failure: SoakResult['failure'];
    for (let number = 0; goesOn(options, { number, startMs }); number++) {
      failure = await step(world, { number, done, tell });
      if (failure) break;
    }
    failure ??= await attempt(world, { number: done.length, name: 'end', done }, () => checkEnd(world));
    const minutes = (performance.now() - startMs) / 60_000;
    const { seed } = options;
    return { ok: failure === undefined, seed, minutes, done, counts, ...(failure ? { failure } : {}) };
  });
}

function goesOn({ actions, minutes = Infinity }: SoakOptions, at: { number: number; startMs: number }): boolean {
  if (actions !== undefined) return at.number < actions;
  return performance.now() - at.startMs < minutes * 60_000;
}

interface At {
  number: number;
  done: Done[];
  tell(line: string): void;
}

async function step(world: World, { number, done, tell }: At): Promise<SoakResult['failure']> {
  const { seed } = world.options;
  // A stream of draws for each action: how many one takes is nothing to the next.
  const action = drawAction(world, number, randomOf(seed, 2 * number + 1));
  const startMs = performance.now();
  world.runs.recent = [];
  return attempt(world, { number, name: action.name, done }, async () => {
    const did = await act(world, action, number);
    await checkInvariants(world);
    const seconds = Math.round((performance.now() - startMs) / 100) / 10;
    done.push({ number, name: action.name, did, seconds });
    tell(`#${number + 1} ${action.name}: ${did} (${seconds} s)`);
  });
}

async function act(world: World, action: Action, number: number): Promise<string> {
  world.counts.action(action.name);
  return action.run(world, randomOf(world.options.seed, 2 * number + 2));
}

async function attempt(
  world: World,
  { number, name, done }: { number: number; name: string; done: Done[] },
  work: () => Promise<void>,
): Promise<SoakResult['failure']> {
  try {
    await work();
    return undefined;
  } catch (error) {
    world.signal.throwIfAborted();
    const causes = causesOf(error);
    const message = [...causes, error instanceof Error ? error.stack : ''].join('\n');
    const { seed, postgres, store } = world.options;
    const replay = `npm run soak -- --seed ${seed} --actions ${number + 1} --postgres ${postgres} --store ${store}`;
    const told = { seed, action: number + 1, name, message, replay, done };
    return { action: number + 1, name, message, replay, artefacts: await keepArtefacts(world, told) };
  }
}

function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) causes.push(`${at.name}: ${at.message}`);
  return causes;
}

export const KINDS = ACTIONS.map(({ name }) => name);
