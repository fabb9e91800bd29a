import type { ClusterState, TableName, TableState } from '../model/change.ts';
import type { Random } from '../random.ts';
import type { World } from '../world/world.ts';

export interface Free extends TableName {
  state: TableState;
}

/** Tables that no prepared transaction holds a lock on. */
export function freeTables({ databases, prepared }: ClusterState): Free[] {
  const held = new Set(
    [...prepared.values()].flatMap(({ changes }) =>
      changes.flatMap((change) => ('table' in change ? [`${change.database}.${change.table}`] : [])),
    ),
  );
  return [...databases].flatMap(([database, tables]) =>
    [...tables].flatMap(([table, state]) => (held.has(`${database}.${table}`) ? [] : [{ database, table, state }])),
  );
}

export function hasFreeTable({ model }: World): boolean {
  return freeTables(model.now).length > 0;
}

export function drawTable({ model }: World, random: Random): Free {
  return random.pick(freeTables(model.now));
}

/** Most rows of the whole model: what a restore compares. */
const MOST_ROWS = 40_000;

export function hasRoom({ model }: World): boolean {
  return model.rows() < MOST_ROWS;
}

/** A number that no earlier change had: names are made of it. */
export function fresh({ model }: World): number {
  return model.commits;
}

/** Rows of a table to change: about one in `modulo`. */
export function drawPattern(random: Random): { modulo: number; rest: number } {
  const modulo = random.pick([1, 2, 3, 7, 20]);
  return { modulo, rest: random.between(0, modulo - 1) };
}

/** Rows for a table of its width: a wide row weighs fifty narrow ones. */
export function drawRows({ state }: Free, random: Random, most = 1500): { from: number; count: number } {
  const count = random.between(1, Math.max(2, Math.floor(most / Math.max(1, state.width / 2))));
  return { from: state.nextId, count };
}
