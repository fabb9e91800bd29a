import { failure } from '../../workflows/model/failure.ts';
import { runningServer } from '../io/postgres/server.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { endNode } from './power.ts';

/** For a server that may have a standby of its own to wait for. */
const FAST_MS = 15_000;

/**
 * Keeps an old primary from serving: the signal file first, so that whatever starts it finds a standby, then the server that runs is
 * ended. Its data stays as it is. Answers whether one ran.
 */
export async function quarantine(use: NodeUse, order: Mover): Promise<{ ran: boolean }> {
  await claim(use, order);
  await writeNodeFile(use, STANDBY_SIGNAL, '');
  const ran = (await runningServer(use.node.dataDir)) !== undefined;
  if (await endNode(use, FAST_MS)) return { ran };
  throw failure('Precondition', `${use.name} does not end`, {
    place: use.node.dataDir,
    expected: 'no process of a server there',
    found: 'some are left, or come again',
    hint: 'stop what starts it (its unit, a supervisor), then start again',
  });
}
