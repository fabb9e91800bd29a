import type { ScheduledOrder } from '../../workflows/model/orders.ts';

/** A Schedule of ours, reduced to what `apply` decides: two definitions are equal when every field is. */
export interface ScheduleDefinition {
  /** lifeboat/<source>/<workflow> */
  id: string;
  /** Name of the configuration it belongs to; undefined for one without our mark. */
  owner: string | undefined;
  when: When;
  catchupWindowMs: number;
  overlap: string;
  workflow: string;
  taskQueue: string;
  order: ScheduledOrder | undefined;
  pause: Pause;
}

export interface When {
  /** What matches, in a form that compares: see whenOf and observedWhen. */
  key: string;
  /** For a person: "0 2 * * * UTC". */
  text: string;
}

/** A pause of the configuration and one of a person are told apart by the note. */
export type Pause = 'no' | 'by configuration' | 'by a person';

/** Every Schedule of ours has this prefix; nothing else is ever touched. */
export const PREFIX = 'lifeboat/';
export const OWNER_MEMO = 'lifeboatConfig';
export const PAUSE_NOTE = 'paused by lifeboat.yml';

const HOUR_MS = 3_600_000;
/** After an outage a missed run starts late rather than not at all, but not a day's worth of small ones. */
const CRON_CATCHUP_MS = 12 * HOUR_MS;

export function catchupOf(everyMs: number | undefined): number {
  return everyMs === undefined ? CRON_CATCHUP_MS : Math.min(Math.max(everyMs, 60_000), CRON_CATCHUP_MS);
}
