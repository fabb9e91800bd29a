import type { Random } from '../random.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { backup } from './backup.ts';
import { bigTransaction } from './big-transaction.ts';
import { database } from './database.ts';
import { drill } from './drill.ts';
import { FAULTS } from './faults.ts';
import { prepared } from './prepared.ts';
import { restore } from './restore.ts';
import { retention } from './retention.ts';
import { rewrite } from './rewrite.ts';
import { insert, remove, truncate, update } from './row-writes.ts';
import { schema } from './schema.ts';
import { segmentSwitch } from './segment-switch.ts';
import { slotDrop } from './slot-drop.ts';
import { verify } from './verify.ts';

/** Every kind of action. */
export const ACTIONS: readonly Action[] = [
  ...[insert, update, remove, truncate, schema, rewrite, database, bigTransaction, prepared, segmentSwitch],
  ...[backup, verify, restore, drill, retention, slotDrop, ...FAULTS],
];

/** A few writes come first, then a backup; from there on by weight among those that may. */
const FIRST: readonly Action[] = [schema, schema, insert, bigTransaction, backup, insert];

/** The action with a number, from 0; what was drawn before has no part in it but through the model. */
export function drawAction(world: World, number: number, random: Random): Action {
  const first = FIRST[number];
  if (first) return first;
  const possible = ACTIONS.filter((action) => action.may(world));
  return random.weighted(possible, ({ weight }) => weight);
}
