import type { IntoDatabase } from './dump.ts';
import { failure } from './failure.ts';
import type { RestoreOrder } from './orders.ts';
import type { Check } from './recovery.ts';

/** One database of a cluster is restored physically, chosen before any byte moves. */
export interface PartialPlan {
  database: string;
  /** Names change, and are given again; this does not. */
  oid: number;
  /** Oids of the databases whose files are restored: it, and what a server is run and asked by. */
  kept: number[];
  leftOut: LeftOut;
  /** Why the files of the others are restored, too; absent: they are zeros of their size. */
  whole?: string;
  /** It, or a part of it, goes on into a server that runs; absent: the copy is what is wanted. */
  bring?: BringPlan;
}

export interface BringPlan {
  /** Of the database; absent: all of it. */
  schema?: string;
  /** "name" or "schema.name". */
  table?: string;
  into: IntoDatabase;
}

/** What was brought into a server that runs, and is proven there. */
export interface Brought {
  database: string;
  /** "host:port". */
  server: string;
  /** Name of what stood there. */
  aside?: string;
  /** Roles that were made, without login: what was brought belongs to them. */
  roles: string[];
  checks: Check[];
  tables: number;
  rows: number;
}

export interface LeftOut {
  count: number;
  /** Names of the first few. */
  first: string[];
}

/** What a server is connected to when nothing else is meant, and made anew from. */
export const ALWAYS_KEPT: readonly string[] = ['postgres', 'template0', 'template1'];

const MOST_NAMED = 5;

export function leftOutOf(names: readonly string[]): LeftOut {
  return { count: names.length, first: names.slice(0, MOST_NAMED) };
}

/** "5 others, sales, hr, ...": for people. */
export function describeLeftOut({ count, first }: LeftOut): string {
  if (count === 0) return 'no others';
  const more = count > first.length ? ', ...' : '';
  return `${count} other${count === 1 ? '' : 's'}: ${first.join(', ')}${more}`;
}

/** Whether databases in the copy have no content. */
export function hasHollow({ partial }: { partial?: PartialPlan }): boolean {
  return partial !== undefined && partial.whole === undefined && partial.leftOut.count > 0;
}

/** What one database of a cluster can go with. Each is told before anything is touched. */
export function checkPartial(order: Partial<RestoreOrder>): void {
  const { source, onlyDatabase, inPlace, action } = order;
  const command = `lifeboat restore ${source} --only-database ${onlyDatabase ?? 'NAME'}`;
  if (onlyDatabase === undefined) {
    for (const key of ['onlySchema', 'onlyTable', 'intoDatabase'] as const)
      if (order[key] !== undefined) throw goesWith(key, { needs: 'onlyDatabase', command });
    return;
  }
  for (const key of ['onlySchema', 'onlyTable'] as const) {
    // Files are restored by database: of one table they would be no use.
    if (order[key] !== undefined && order.intoDatabase === undefined)
      throw goesWith(key, { needs: 'intoDatabase', command: `${command} --into-database NAME` });
  }
  if (inPlace) {
    throw failure(
      'ConfigInvalid',
      'onlyDatabase goes with a new directory: in place the other databases would be lost',
      {
        ...{ place: 'inPlace', expected: 'no inPlace', found: 'inPlace' },
        hint: `${command} --into DIR`,
      },
    );
  }
  if (action === undefined || action === 'promote') return;
  throw failure(
    'ConfigInvalid',
    'onlyDatabase goes with a cluster that is opened: only there the others can be closed',
    {
      ...{ place: 'action', expected: 'promote', found: action },
      hint: command,
    },
  );
}

function goesWith(key: string, { needs, command }: { needs: string; command: string }): Error {
  return failure('ConfigInvalid', `of a cluster, ${key} goes with ${needs}`, {
    ...{ place: key, expected: needs, found: `${key} alone` },
    hint: command,
  });
}
