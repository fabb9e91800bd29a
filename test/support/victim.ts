import type { Activities } from '../../activities/index.ts';

/**
 * before: the worker dies when the activity is about to begin. published: when its first object is in the store. after:
 * when its work is done, however it ended, and nobody has been told.
 */
export type Side = 'before' | 'published' | 'after';

/** Where a worker ends itself by SIGKILL, the first time it gets there. */
export interface Death {
  side: Side;
  activity: keyof Activities;
}

/** What a worker of a test is told, as JSON. */
export interface VictimOrders {
  config: string;
  /** Name of the host; no other worker of the server has it. */
  host: string;
  /** Queue of the workflows; the product's own when absent. */
  queue?: string;
  /** File with the bundled workflows. */
  bundle: string;
  dies?: Death;
  /** This activity, its work done, does not say so until it is cancelled. */
  holds?: keyof Activities;
}

/** In the log of a worker whose activity is held. */
export const HELD = 'victim holds';
