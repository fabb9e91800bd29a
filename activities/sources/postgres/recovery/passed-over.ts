import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import { hasHollow } from '../../../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { databaseIn } from './left-out.ts';
import type { Place } from './place.ts';
import { linesOf, SERVER_LOG } from './server-log.ts';

/** xlogutils.c, report_invalid_page; the server wrote it with lc_messages = C. */
const INVALID = /^page (\d+) of relation (\S+) (?:is uninitialized|does not exist)$/;

/**
 * A page without content is either filled by the WAL whole or passed over: a record that has no image of it changes nothing,
 * and the server says so instead of giving up (ignore_invalid_pages). How many there were; Integrity when one of them is of a
 * database that must be whole, for there the server would have been right to give up.
 */
export async function passedOver(plan: RecoveryPlan, place: Place): Promise<number | undefined> {
  const { partial } = plan;
  if (!partial || !hasHollow(plan)) return undefined;
  let count = 0;
  for (const name of (await readdir(place.log)).filter((name) => name.startsWith(SERVER_LOG))) {
    for await (const line of linesOf(join(place.log, name))) {
      const [, page, relation] = INVALID.exec(messageIn(line)) ?? [];
      if (relation === undefined) continue;
      const database = databaseIn(relation);
      if (database === undefined || partial.kept.includes(database)) throw wanted(place, `page ${page} of ${relation}`);
      count += 1;
    }
  }
  return count;
}

/** There may be millions, and only few lines are taken apart. */
function messageIn(line: string): string {
  if (!line.includes(' of relation ')) return '';
  try {
    return String((JSON.parse(line) as { message?: unknown }).message);
  } catch {
    return '';
  }
}

function wanted({ log }: Place, page: string): Error {
  return failure('Integrity', `the WAL changes ${page}, which the backup does not have`, {
    place: log,
    expected: 'every page of the database that is restored',
    found: `no ${page}`,
    hint: 'restore the whole cluster, or another base with --point',
  });
}
