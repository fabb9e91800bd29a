import { sleep } from '@temporalio/workflow';
import { fullDiskOf } from '../model/full-disk.ts';
import { formatBytes } from '../model/units.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { nowMs } from './time.ts';

const FIRST_PAUSE_MS = 5_000;
/** Of the pause before: nobody who made room waits for much longer than a tenth of what has passed. */
const GROWTH = 1.1;
/** Each round costs history, which a run has only so much of: this is enough for a month. */
const LONGEST_PAUSE_MS = 600_000;
const ROOM = 'room';
const REMIND_MS = 6 * 3_600_000;

/**
 * Does a step again for as long as its disk is full, and tells people what to free: nothing that hours have brought is thrown
 * away for what a person mends in a minute. Whatever else the step fails with is thrown.
 */
export async function waitingForRoom<T>(
  { journal, notices }: { journal: Journal; notices: Notices },
  step: () => Promise<T>,
): Promise<T> {
  let told: string | undefined;
  let toldAtMs = -Infinity;
  try {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, Math.ceil(pauseMs * GROWTH))) {
      try {
        return await step();
      } catch (error) {
        const full = fullDiskOf(error);
        if (!full) throw error;
        const title = `restore of ${journal.progress.source} waits for room on a disk`;
        const body = `the disk of ${full.path} is full (${formatBytes(full.freeBytes)} free): free space there, and the restore goes on by itself`;
        if (nowMs() - toldAtMs >= REMIND_MS) {
          notices.send({ severity: 'critical', title, body, about: ROOM });
          toldAtMs = nowMs();
        }
        journal.attention((told = body));
        journal.waitedMs += pauseMs;
        await sleep(pauseMs, { summary: `until the disk of ${full.path} has room`.slice(0, 100) });
      }
    }
  } finally {
    if (told !== undefined && journal.progress.attention === told) journal.attention(undefined);
    if (told !== undefined)
      notices.over(ROOM, { title: `restore of ${journal.progress.source} waits no more`, body: told });
  }
}
