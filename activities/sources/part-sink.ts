import type { PartRef } from '../../workflows/model/manifest.ts';

/** Where a backup's bytes go. Parts may be written in parallel and in any order; each resolves when it is durable. */
export interface PartSink {
  /** Plaintext bytes a part should have; it may be shorter. */
  readonly partBytes: number;
  /** Parts the source may have in flight at once: bounds its memory. */
  readonly parallel: number;
  /**
   * Numbers start at 1. The buffer belongs to the sink until the promise settles, then the source may fill it again:
   * it stands in shared memory where the source reuses it, so that threads read it without a copy.
   */
  write(number: number, plaintext: Buffer): Promise<PartRef>;
  /** The same, but a thread brings the plaintext itself and encodes it where it stands: it never moves between threads. */
  fill<Said>(number: number, fill: PartFill): Promise<{ part: PartRef; said: Said }>;
  /** One of the threads that fill parts finds something out first; nothing is stored. */
  ask<Said>(question: PartQuestion): Promise<Said>;
}

/** What a thread is asked that would hold up everything else here. */
export interface PartQuestion {
  /** Address of a module that exports `answer(job)`, plain data. */
  module: string;
  /** Plain data: it is cloned. */
  job: unknown;
}

/** Who brings the plaintext of a part, in the thread that encodes it. */
export interface PartFill {
  /** Address of a module that exports `fill(job): Filled`. The bytes are its own again when the next job comes. */
  module: string;
  /** Plain data: it is cloned. */
  job: unknown;
}

export interface Filled<Said = unknown> {
  bytes: Uint8Array;
  /** What the filler says of the bytes; plain data. */
  said: Said;
}
