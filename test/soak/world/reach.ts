import { compareLsn } from '../../../workflows/model/lsn.ts';
import type { Model, Moment } from '../model/model.ts';

interface Span {
  fromLsn: string;
  toLsn: string;
}

/**
 * Which moments must be restorable, known without asking the product: all behind the end of the first backup, or of the newest
 * one when retention ran, but for those between a slot that somebody dropped and the end of the next backup.
 */
export class Reach {
  readonly #model: Model;
  #from: number | undefined;
  readonly #lost: { from: number; to: number }[] = [];
  readonly #explained: Span[] = [];

  constructor(model: Model) {
    this.#model = model;
  }

  get hasBase(): boolean {
    return this.#from !== undefined;
  }

  /** A backup has ended well: moments from here on can be reached. */
  based(): void {
    this.#from ??= this.#model.moments.length;
  }

  /** WAL between these positions may be missing, and moments from number `from` up to now cannot be counted on. */
  lost(from: number, span: Span): void {
    this.#lost.push({ from, to: this.#model.moments.length });
    this.#explained.push(span);
  }

  /** Moments before number `from` were given up on purpose, and what WAL of theirs is left below `toLsn` may have holes. */
  agedOut(from: number, toLsn: string): void {
    this.#from = Math.max(this.#from ?? 0, from);
    this.#explained.push({ fromLsn: '0/0', toLsn });
  }

  explains({ fromLsn, toLsn }: Span): boolean {
    return this.#explained.some((span) => compareLsn(span.fromLsn, fromLsn) <= 0 && compareLsn(span.toLsn, toLsn) >= 0);
  }

  moments(): Moment[] {
    const from = this.#from ?? Infinity;
    return this.#model.moments.filter(
      ({ number }) => number >= from && !this.#lost.some((gap) => number >= gap.from && number < gap.to),
    );
  }
}
