import type { TouchedRelation } from '../../../../workflows/model/last-good.ts';
import type { Touch } from './touches.ts';

/** Transactions and subtransactions that are followed at once. */
const MOST_OPEN = 200_000;
/** Relations of one, and of all together: what is beyond that is counted, and not named. */
const MOST_RELATIONS = 100;
const MOST_ENTRIES = 200_000;

interface Changed {
  relations: Map<string, TouchedRelation>;
  /** Records about relations that are not named. */
  more: number;
}

/** What transactions changed that have not ended yet; memory is bounded however much that is. */
export class Touched {
  readonly #open = new Map<number, Changed>();
  #entries = 0;

  add({ xid, change, path }: Touch): void {
    let changed = this.#open.get(xid);
    if (!changed) {
      // The oldest has most likely ended in WAL that is not there.
      if (this.#open.size >= MOST_OPEN) this.#remove(this.#open.keys().next().value as number);
      changed = { relations: new Map(), more: 0 };
      this.#open.set(xid, changed);
    }
    const known = changed.relations.get(path);
    if (known) known[change] += 1;
    else if (changed.relations.size < MOST_RELATIONS && this.#entries < MOST_ENTRIES) {
      changed.relations.set(path, { relation: path, inserts: 0, updates: 0, deletes: 0, [change]: 1 });
      this.#entries += 1;
    } else changed.more += 1;
  }

  #remove(xid: number): Changed | undefined {
    const changed = this.#open.get(xid);
    this.#open.delete(xid);
    this.#entries -= changed?.relations.size ?? 0;
    return changed;
  }

  /** Of a transaction and its subtransactions, which have ended. */
  take(xids: readonly number[]): { relations: TouchedRelation[]; more: number } {
    const all = new Map<string, TouchedRelation>();
    let more = 0;
    for (const xid of xids) {
      const changed = this.#remove(xid);
      more += changed?.more ?? 0;
      for (const each of changed?.relations.values() ?? []) {
        const known = all.get(each.relation);
        if (!known) all.set(each.relation, each);
        else for (const change of ['inserts', 'updates', 'deletes'] as const) known[change] += each[change];
      }
    }
    return { relations: [...all.values()].sort((a, b) => (a.relation < b.relation ? -1 : 1)), more };
  }
}
