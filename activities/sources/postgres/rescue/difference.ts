import { createHash } from 'node:crypto';
import type { Difference, RowsTask, TableDifference } from '../../../../workflows/model/rescue.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { DifferingRow } from '../../row-rescue.ts';
import type { Change, KeyedRow } from './rows.ts';
import { mergeRows, sortedRows } from './rows.ts';
import type { Table } from './tables.ts';
import { checkAlike, tableNamed } from './tables.ts';

/** Keys that are shown of each kind, and letters of each. */
const SHOWN = 5;
const SHOWN_LETTERS = 80;

/** A table as it is on both sides. */
export interface Pair {
  copy: Table;
  now: Table;
}

/** Sessions in a transaction each. */
export interface Sides {
  copy: SqlClient;
  now: SqlClient;
}

export async function pairsOf({ copy, now }: Sides, { tables, source }: RowsTask): Promise<Pair[]> {
  const pairs = new Map<string, Pair>();
  for (const name of tables) {
    const there = await tableNamed(now, name, `the database of ${source}`);
    const pair = { copy: await tableNamed(copy, there.name, 'the copy'), now: there };
    checkAlike(pair.copy, pair.now);
    pairs.set(there.name, pair);
  }
  return [...pairs.values()];
}

export interface Comparing {
  task: RowsTask;
  run: Run;
  /** Every row that differs, in order; `isWritten`: it is one of those that would be written. */
  each(change: Change, at: { pair: Pair; isWritten: boolean }): Promise<void>;
}

/** Compares table by table. The hash is over what would be written: a row that changes meanwhile gives another one. */
export async function differenceOf(
  sides: Sides,
  pairs: readonly Pair[],
  { task, run, each }: Comparing,
): Promise<Omit<Difference, 'reports'>> {
  const hash = createHash('sha256');
  const put = (bytes: Buffer | string): void => void hash.update(`${Buffer.byteLength(bytes)}:`).update(bytes);
  const tables: TableDifference[] = [];
  const sum = { inserts: 0, updates: 0 };
  put(
    JSON.stringify([task.overwrite === true, pairs.map(({ now }) => [now.name, now.columns.map(({ name }) => name)])]),
  );
  for (const pair of pairs) {
    const found = emptyOf(pair.now);
    tables.push(found);
    let seen = 0;
    const merged = mergeRows(sortedRows(sides.copy, pair.copy, task.where), sortedRows(sides.now, pair.now, undefined));
    for await (const change of merged) {
      run.signal.throwIfAborted();
      if (++seen % 1000 === 0) run.progress({ phase: 'compare', note: pair.now.name, counters: { rows: seen } });
      count(found, change);
      const isWritten = writes(change, task);
      if (isWritten) {
        const { copy, what } = change;
        for (const bytes of [what, pair.now.name, copy.key, copy.hash]) put(bytes);
        if (change.what === 'differing') put(change.now.hash);
        sum[what === 'missing' ? 'inserts' : 'updates'] += 1;
      }
      if (isTold(change)) await each(change, { pair, isWritten });
    }
  }
  return { tables, hash: hash.digest('hex'), ...sum };
}

function emptyOf({ name, key, triggers }: Table): TableDifference {
  return {
    ...{ table: name, key: key.map((column) => column.name), chosen: 0, missing: 0, differing: 0, extra: 0 },
    ...(triggers.length > 0 ? { triggers } : {}),
    sample: { missing: [], differing: [], extra: [] },
  };
}

/** Whether a row is one that differs and that somebody asked about. */
function isTold(change: Change): boolean {
  return change.what === 'extra' || (change.what !== 'same' && change.copy.chosen);
}

function writes(
  change: Change,
  { overwrite }: RowsTask,
): change is Extract<Change, { copy: KeyedRow }> & { what: 'missing' | 'differing' } {
  if (change.what === 'extra' || change.what === 'same' || !change.copy.chosen) return false;
  return change.what === 'missing' || overwrite === true;
}

function count(found: TableDifference, change: Change): void {
  if (change.what !== 'extra' && change.copy.chosen) found.chosen += 1;
  if (change.what === 'same' || !isTold(change)) return;
  found[change.what] += 1;
  const sample = found.sample[change.what];
  if (sample.length < SHOWN) sample.push(keyText(change).slice(0, SHOWN_LETTERS));
}

export function keyText(change: Change): string {
  return (change.what === 'extra' ? change.now : change.copy).key.toString('utf8');
}

export function rowOf(change: Change, table: string): DifferingRow {
  const hashes = {
    ...(change.what === 'extra' ? {} : { copy: change.copy.hash.toString('hex') }),
    ...(change.what === 'missing' ? {} : { now: change.now.hash.toString('hex') }),
  };
  const what = change.what === 'same' ? 'differing' : change.what;
  return { table, what, key: keyText(change), ...hashes };
}
