import { failure } from '../../workflows/model/failure.ts';
import type { Overtaken } from '../../workflows/model/failover.ts';
import { readNodeFile, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';

/** In the data directory: the number of the run that touched the node last. Copies of the directory carry it on. */
const FILE = 'lifeboat.epoch';

export const OVERTAKEN: Overtaken = { overtaken: true };

/** Who moves, and by which number. */
export interface Mover {
  epoch: number;
  run: string;
}

/** 0 before the first. Integrity when the file says nothing that we can read: nobody may move by it then. */
export async function epochAt(use: NodeUse): Promise<number> {
  const text = await readNodeFile(use, FILE);
  if (text === undefined) return 0;
  const epoch = numberIn(text);
  if (epoch !== undefined) return epoch;
  throw failure('Integrity', `${FILE} of ${use.name} says no number`, {
    place: `${use.node.dataDir}/${FILE}`,
    expected: '{"epoch":7,"run":"..."}',
    found: text.slice(0, 100),
    hint: 'look who wrote it; remove it when no failover is going on',
  });
}

function numberIn(text: string): number | undefined {
  try {
    const { epoch } = JSON.parse(text) as { epoch?: unknown };
    return Number.isSafeInteger(epoch) ? (epoch as number) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the node ours, durably. Precondition when a newer run has been there: this one must not touch it any more. */
export async function claim(use: NodeUse, { epoch, run }: Mover): Promise<void> {
  const seen = await epochAt(use);
  if (seen > epoch) throw staleEpoch(use, { epoch, seen });
  if (seen < epoch) await writeNodeFile(use, FILE, `${JSON.stringify({ epoch, run, service: use.service })}\n`);
}

export function staleEpoch({ name }: NodeUse, { epoch, seen }: { epoch: number; seen: number }): Error {
  return failure('Precondition', `${name} obeys a newer run`, {
    place: name,
    expected: `no epoch above ${epoch}`,
    found: `epoch ${seen}`,
    hint: 'lifeboat status: another run has taken over; this one must not move anything any more',
    evidence: OVERTAKEN,
  });
}
