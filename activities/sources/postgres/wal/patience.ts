/** How long a stream waits by itself; what lasts longer is for the run, which tells people and begins anew. */
const PATIENCE_MS = 60_000;

type Partner = 'database' | 'store';

/** Since when the database does not speak to us, or the store refuses us. */
export class Patience {
  readonly #since = new Map<Partner, number>();

  /** It works: what was before does not count. Cheap, for calls with every message. */
  good(partner: Partner): void {
    this.#since.delete(partner);
  }

  /** It failed; a repeat changes nothing. */
  bad(partner: Partner, nowMs: number): void {
    if (!this.#since.has(partner)) this.#since.set(partner, nowMs);
  }

  /** Milliseconds; undefined when it works. */
  since(partner: Partner): number | undefined {
    return this.#since.get(partner);
  }

  isOver(nowMs: number): boolean {
    return [...this.#since.values()].some((since) => nowMs - since >= PATIENCE_MS);
  }
}
