import type { Change, ClusterState } from './change.ts';
import { apply, emptyCluster } from './change.ts';
import type { Seen } from './orders.ts';

/** What else was written around a moment, by somebody who does not wait for us. */
export interface Window {
  /** Before the moment all of these were acknowledged. */
  before: Seen;
  /** After it none but these had been started. */
  after: Seen;
}

/** A moment that the server acknowledged, and the names under which a recovery can be sent there. */
export interface Moment {
  number: number;
  /** How many commits were there; those of the model, in order. */
  commits: number;
  lsn: string;
  /** ISO 8601 UTC with microseconds, by the server's clock. */
  at: string;
  /** Transaction of the newest commit, where it has one that recovery can be sent to. */
  xid?: string;
  /** Restore point. */
  name?: string;
  orders: Window;
  /** Around the newest commit itself: what a recovery to its transaction may and must have. */
  aroundCommit: Window;
}

/** The reference: every acknowledged commit in its order, and what must be there as of any of them. Plain data. */
export class Model {
  readonly #commits: (readonly Change[])[] = [];
  readonly #moments: Moment[] = [];
  readonly #now = emptyCluster();

  /** Only what the server has acknowledged. */
  commit(changes: readonly Change[]): void {
    for (const change of changes) apply(this.#now, change);
    this.#commits.push(changes);
  }

  mark(moment: Omit<Moment, 'number' | 'commits'>): Moment {
    const marked = { ...moment, number: this.#moments.length, commits: this.#commits.length };
    this.#moments.push(marked);
    return marked;
  }

  /** What is there now; not to be changed from outside. */
  get now(): ClusterState {
    return this.#now;
  }

  get commits(): number {
    return this.#commits.length;
  }

  get moments(): readonly Moment[] {
    return this.#moments;
  }

  /** What must be there after so many commits. */
  asOf(commits: number): ClusterState {
    const state = emptyCluster();
    for (const changes of this.#commits.slice(0, commits)) for (const change of changes) apply(state, change);
    return state;
  }

  rows(): number {
    let rows = 0;
    for (const tables of this.#now.databases.values()) for (const table of tables.values()) rows += table.rows.size;
    return rows;
  }
}
