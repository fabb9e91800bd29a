import { compareLsn } from '../../../workflows/model/lsn.ts';
import type { Target } from '../../../workflows/model/target.ts';
import type { Moment, Window } from '../model/model.ts';
import type { Random } from '../random.ts';
import { until } from '../world/until.ts';
import type { World } from '../world/world.ts';

/** Where a recovery is sent, and what must be there when it has arrived. */
export interface Wish {
  target: Target;
  /** Commits of the model. */
  commits: number;
  orders: Window;
  /** Everything up to here has to be in the vault before. */
  lsn: string;
  /** The vault must know of a commit behind this time. */
  after?: string;
  what: string;
}

/** A moment that can be reached, under one of its names. */
export function drawWish(world: World, random: Random): Wish {
  const moments = world.reach.moments();
  // Half of them are recent: there the WAL has just arrived.
  const moment = random.chance(50) ? random.pick(moments.slice(-3)) : random.pick(moments);
  return random.pick(wishesFor(moment, moments[0]));
}

/** Every name that the moment has. Before the first moment nothing is known to be reachable. */
function wishesFor(moment: Moment, first: Moment | undefined): Wish[] {
  const { number, commits, orders, aroundCommit, lsn, at, xid, name } = moment;
  const wish = (target: Target, change: Partial<Wish> = {}): Wish => {
    const side = 'inclusive' in target && !target.inclusive ? ' exclusive' : '';
    return { target, commits, orders, lsn, what: `moment ${number} by ${target.kind}${side}`, ...change };
  };
  const wishes = [
    wish({ kind: 'lsn', lsn, inclusive: false }),
    wish({ kind: 'lsn', lsn, inclusive: true }),
    wish({ kind: 'time', time: at, inclusive: true }, { after: at }),
    wish({ kind: 'time', time: at, inclusive: false }, { after: at }),
  ];
  if (name !== undefined) wishes.push(wish({ kind: 'name', name }));
  if (xid === undefined) return wishes;
  wishes.push(wish({ kind: 'xid', xid, inclusive: true }, { orders: aroundCommit }));
  if (number !== first?.number)
    wishes.push(wish({ kind: 'xid', xid, inclusive: false }, { orders: aroundCommit, commits: commits - 1 }));
  return wishes;
}

/** The newest moment there is; `seen` is what had been written when everything of it was in the vault. */
export function newest({ model, orders }: World, seen: Window['before']): Omit<Wish, 'lsn'> {
  return {
    target: { kind: 'latest' },
    commits: model.commits,
    // Written on and on: how much of it comes back, nobody knows before.
    orders: { before: seen, after: { ...orders.seen, started: Infinity } },
    what: 'the newest moment',
  };
}

/** Resolves when the vault holds what it takes to get there. */
export async function arrived(
  { runs, signal }: World,
  { lsn, after = '' }: Pick<Wish, 'lsn' | 'after'>,
): Promise<void> {
  await until(
    () => `the vault to hold WAL up to ${lsn} and a commit behind ${after}`,
    { signal },
    async () => {
      const last = (await runs.wal()).ranges.at(-1);
      const isThere = last && compareLsn(last.endLsn, lsn) >= 0 && (last.lastCommitAt ?? '') > after;
      return isThere ? true : undefined;
    },
  );
}
