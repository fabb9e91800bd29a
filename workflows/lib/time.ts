/** Workflow time, milliseconds since 1970-01-01 UTC: the sandbox replaces the clock, so that a replay sees the same. */
export function nowMs(): number {
  return Date.now();
}

/** Workflow time, ISO 8601 UTC. */
export function isoNow(): string {
  return new Date(nowMs()).toISOString();
}
