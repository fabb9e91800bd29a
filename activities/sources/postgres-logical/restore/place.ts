import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';

/** Every path of a scratch cluster; what is ours stands beside its data directory. */
export interface Place {
  data: string;
  work: string;
  /** What this run has done. */
  state: string;
  log: string;
  /** Archives of definitions, while they are read. */
  archives: string;
  socket: string;
}

/** Unix socket paths are limited to 107 bytes (sun_path); "/.s.PGSQL.65535" needs 15 of them. */
const LONGEST_SOCKET_FOLDER = 90;

export function placeOf(plan: RecoveryPlan): Place {
  const work = `${plan.into}.lifeboat`;
  const socket = join(work, 'socket');
  const tag = createHash('sha256').update(plan.into).digest('hex').slice(0, 12);
  return {
    data: plan.into,
    work,
    state: join(work, 'run.json'),
    log: join(work, 'log'),
    archives: join(work, 'archives'),
    socket: Buffer.byteLength(socket) <= LONGEST_SOCKET_FOLDER ? socket : `/tmp/.lifeboat-${tag}`,
  };
}
