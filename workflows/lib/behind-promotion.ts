import { wasOvertaken } from '../model/failover.ts';
import type { Lsn } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import { settling } from '../options.ts';
import { messageOf } from './conclude.ts';
import type { Switching } from './failing-over.ts';
import { timed } from './failing-over.ts';
import { taskOf } from './nodes.ts';

/** Written behind a promotion; who has it read follows. */
export interface Marked {
  marker: string;
  lsn: Lsn;
  timeline: number;
}

/** It ends, well or not: nobody is served meanwhile. */
export function mark({ cluster, to, mover }: Pick<Switching, 'cluster' | 'to' | 'mover'>): Promise<Marked> {
  const acts = settling({ summary: `write a marker on ${to.name}`, taskQueue: hostQueue(to.host) });
  return acts.writeMarker({ ...taskOf(cluster, to), ...mover, marker: `${mover.run}/after` });
}

/** What fails behind the promotion is told at once, and keeps nobody from being served; only who was overtaken must not go on. */
export async function orTold<T>(use: Switching, what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await timed(use, what, work);
  } catch (error) {
    if (wasOvertaken(error)) throw error;
    const { cluster, notices, journal, said } = use;
    const found = `not done: ${what}: ${messageOf(error)}`;
    said.wrong = [...(said.wrong ?? []), found];
    journal.note(found);
    const title = `service ${cluster.service}: ${what} failed`;
    notices.send({ severity: 'critical', title, body: found, about: what, lasting: true });
    return undefined;
  }
}

/** What people have to know of all that went wrong. */
export function attended({ said, journal }: Switching): string[] {
  const { wrong = [] } = said;
  if (wrong.length > 0) journal.attention(wrong.join('; '));
  return wrong;
}

/** What was synchronous is not any more: the service goes on, and somebody has to know. */
export function tellAlone({ said, to, cluster, notices }: Switching): void {
  const { waitedFor } = said.promotion ?? {};
  if (waitedFor === undefined) return;
  const what = `${to.name} acknowledges commits alone: synchronous_standby_names was '${waitedFor}', and nobody answers to that`;
  said.wrong = [...(said.wrong ?? []), `${what}; set it again when a standby follows`];
  const title = `service ${cluster.service}: not synchronous`;
  notices.send({ severity: 'critical', title, body: what, about: 'synchronous', lasting: true });
}
