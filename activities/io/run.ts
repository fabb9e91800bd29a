import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';

export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** How far a long step is. Sent as the heartbeat's details, so it must stay small and JSON safe. */
export interface Progress {
  phase: string;
  doneBytes?: number;
  totalBytes?: number;
  /** One short sentence for a person. */
  note?: string;
  /** Numbers that a reader may plot: parts done, segments, lag. */
  counters?: Record<string, number | string>;
  /** What another attempt goes on from, should this one die; it stays until it is replaced. */
  resume?: unknown;
}

/**
 * What an implementation gets instead of Temporal: when to stop, where to say how far it is, the log and the clock.
 * `progress` is cheap, may be called thousands of times a second, and never throws.
 */
export interface Run {
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
  /** Progress.resume of the attempt before, as it was heard last. */
  readonly resume?: unknown;
  progress(update: Progress): void;
}

const quiet = (): void => {};

export const silentLog: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A run outside any activity: the CLI's own checks, tests, benchmarks. */
export function plainRun(options: Partial<Run> = {}): Run {
  return { signal: new AbortController().signal, log: silentLog, clock: systemClock, progress: quiet, ...options };
}
