import type { Random } from '../random.ts';
import type { World } from '../world/world.ts';

/** One kind of thing that happens. Whether it may, and all that it draws, rests on the model alone: never on timing. */
export interface Action {
  name: string;
  /** How often, beside the others. */
  weight: number;
  may(world: World): boolean;
  /** Returns what it did, in a few words; throws when something is not as it must be. */
  run(world: World, random: Random): Promise<string>;
}
