import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';

/** Every path of one recovery. What is ours stands beside the data directory, so that the directory holds a cluster and nothing else. */
export interface Place {
  data: string;
  work: string;
  marker: string;
  /** There once the server was started to recover: a signal file that is not there any more was removed by the server. */
  begun: string;
  /** Settings that replay turned out to need, by name. */
  raised: string;
  /** History files of the vault's timelines, for when nobody serves them any more. */
  histories: string;
  journal: string;
  /** Changed blocks that came in pieces. */
  increments: string;
  spool: string;
  ready: string;
  want: string;
  absent: string;
  log: string;
  restoreCommand: string;
  socket: string;
}

/** Unix socket paths are limited to 107 bytes (sun_path); "/.s.PGSQL.65535" needs 15 of them. */
const LONGEST_SOCKET_FOLDER = 90;

export function placeOf(plan: RecoveryPlan): Place {
  const work = `${plan.into}.lifeboat`;
  const spool = join(work, 'spool');
  const socket = join(work, 'socket');
  const tag = createHash('sha256').update(plan.into).digest('hex').slice(0, 12);
  return {
    data: plan.into,
    work,
    marker: join(work, 'run.json'),
    begun: join(work, 'replay-begun'),
    raised: join(work, 'raised.json'),
    histories: join(work, 'histories'),
    journal: join(work, 'parts.done'),
    increments: join(work, 'increments'),
    spool,
    ready: join(spool, 'ready'),
    want: join(spool, 'want'),
    absent: join(spool, 'absent'),
    log: join(work, 'log'),
    restoreCommand: join(work, 'restore-command.sh'),
    socket: Buffer.byteLength(socket) <= LONGEST_SOCKET_FOLDER ? socket : `/tmp/.lifeboat-${tag}`,
  };
}
