import type { Activities } from '../../../activities/index.ts';
import type { Random } from '../random.ts';
import type { Running } from '../world/runs.ts';
import { typeAndMessageOf } from '../world/runs.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { FAULTS } from './faults.ts';
import { insert, update } from './row-writes.ts';
import { hasFreeTable, hasRoom } from './tables.ts';

/** Failures that say: nothing is wrong but the surroundings; try again. */
const TRY_AGAIN = new Set(['Unavailable', 'Busy']);

export interface Disturbed<T> {
  /** Steps of the run, one of which is drawn. */
  steps: readonly (keyof Activities)[];
  /** Writes of ours while it runs; where the run is about what is there now, none may be. */
  writes: boolean;
  /** Starts the run; called once more after a failure that the fault explains. */
  start(): Promise<Running<T>>;
}

function drawStrike(world: World, random: Random, writes: boolean): Action | undefined {
  if (world.reach.hasBase && random.chance(50)) return random.weighted(FAULTS, ({ weight }) => weight);
  const mayWrite = writes && hasFreeTable(world) && hasRoom(world);
  return mayWrite && random.chance(60) ? random.pick([insert, update]) : undefined;
}

/** A run in whose middle something happens, or nothing; its result, and what happened. */
export async function disturbed<T>(
  world: World,
  random: Random,
  { steps, writes, start }: Disturbed<T>,
): Promise<{ result: T; what: string }> {
  const strike = drawStrike(world, random, writes);
  const step = random.pick(steps);
  const running = await start();
  if (!strike) return { result: await running.result, what: 'undisturbed' };
  const inTime = await world.runs.inStep(running, [step]);
  const did = await strike.run(world, random);
  const what = `${strike.name} (${did}) ${inTime ? 'in' : 'after'} ${step}`;
  try {
    return { result: await running.result, what };
  } catch (error) {
    const { type, message } = typeAndMessageOf(error);
    if (!FAULTS.includes(strike) || !TRY_AGAIN.has(type))
      throw new Error(`${message} (${type}); ${what}`, { cause: error });
    world.counts.runsRepeated += 1;
    return { result: await (await start()).result, what: `${what}: ended by ${type}, and done again` };
  }
}
