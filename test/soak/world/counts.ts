/** What a soak did, as its last line says. */
export class Counts {
  readonly actions: Record<string, number> = {};
  readonly faults: Record<string, number> = {};
  /** Why a backup was a full one although less was ordered, and how often. */
  readonly fallbacks: Record<string, number> = {};
  restoresCompared = 0;
  tablesCompared = 0;
  rowsCompared = 0;
  pointsVerified = 0;
  pointsRemoved = 0;
  storeCallsHit = 0;
  /** Runs that a fault ended with a failure that says "try again"; each was tried again and did well. */
  runsRepeated = 0;

  action(name: string): void {
    this.actions[name] = (this.actions[name] ?? 0) + 1;
  }

  fault(name: string): void {
    this.faults[name] = (this.faults[name] ?? 0) + 1;
  }

  fallback(reason: string): void {
    this.fallbacks[reason] = (this.fallbacks[reason] ?? 0) + 1;
  }
}
