/** How long a stream waits by itself; what lasts longer is for the run, which tells people and begins anew. */
const PATIENCE_MS = 60_000;

/** Since when nothing gets on. Only WAL that became durable counts as getting on: connections come and go without it. */
export class Patience {
  #sinceMs: number | undefined;

  good(): void {
    this.#sinceMs = undefined;
  }

  /** A repeat changes nothing. */
  bad(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  isOver(nowMs: number): boolean {
    return isLong(this.#sinceMs, nowMs);
  }
}

export function isLong(sinceMs: number | undefined, nowMs: number): boolean {
  return sinceMs !== undefined && nowMs - sinceMs >= PATIENCE_MS;
}
