import { isCancellation } from '@temporalio/workflow';
import { peerSlot } from '../model/cluster.ts';
import type { Following } from '../model/failover.ts';
import { failure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { RejoinPath } from '../model/rejoin.ts';
import { bulk, settling } from '../options.ts';
import { messageOf } from './conclude.ts';
import { timed } from './failing-over.ts';
import { at, taskOf } from './nodes.ts';
import type { Found, Returning } from './rejoining.ts';

/** One that gets nearer is waited for again and again. */
const FOLLOW_MS = 20_000;

/**
 * Brings a node that is down back by the way that was chosen, and proves that it follows; where it does not, by a new copy. It is
 * rewound once at most. Answers the way that led there.
 */
export async function bringBack(use: Returning, { choice }: Found): Promise<RejoinPath> {
  const { cluster, node, primary, said, journal } = use;
  await timed(use, `let ${primary.name} keep what ${node.name} needs`, () =>
    at(primary, `keep WAL for ${node.name}`).holdSlot({ ...taskOf(cluster, primary), follower: node.name }),
  );
  const path = await putInPlace(use, choice.path);
  said.following = await start(use, 'first');
  if (said.following.ok || path === 'reseed') return settled(use, path);
  const lacks = said.following.checks.find(({ ok }) => !ok);
  said.why.push(`after ${path} it does not follow: ${lacks?.name}, ${lacks?.found}`);
  journal.note(`${node.name} does not follow: a new copy`);
  await timed(use, `keep ${node.name} from serving`, () =>
    at(node, `keep ${node.name} from serving`).quarantineNode({ ...taskOf(cluster, node), ...use.mover }),
  );
  await copy(use);
  said.following = await start(use, 'second');
  return settled(use, 'reseed');
}

/** Its files, as those of a standby that is down. */
async function putInPlace(use: Returning, path: RejoinPath): Promise<RejoinPath> {
  const { cluster, node, primary, mover, said } = use;
  const task = { ...taskOf(cluster, node), ...mover, upstream: primary.name };
  if (path === 'follow') {
    await timed(use, `make a standby of ${node.name}`, () =>
      at(node, `make a standby of ${node.name}`).prepareStandby(task),
    );
    return path;
  }
  if (path === 'rewind') {
    // pg_rewind reads from the control file on which timeline the primary is, and that is written there by a checkpoint.
    await timed(use, `checkpoint ${primary.name}`, () =>
      at(primary, `checkpoint ${primary.name}`).checkpointNode(taskOf(cluster, primary)),
    );
    const acts = bulk({ summary: `rewind ${node.name}`, taskQueue: hostQueue(node.host) });
    const { ok, said: why } = await timed(use, `rewind ${node.name}`, () => acts.rewindNode(task));
    if (ok) return path;
    said.why.push(`it could not be rewound: ${why}`);
    use.journal.note(`not rewound: ${why}`);
  }
  await copy(use);
  return 'reseed';
}

async function copy(use: Returning): Promise<void> {
  const { cluster, node, primary, mover } = use;
  const what = `copy ${primary.name} for ${node.name}`;
  const acts = bulk({ summary: what, taskQueue: hostQueue(node.host) });
  await timed(use, what, () => acts.reseedNode({ ...taskOf(cluster, node), ...mover, upstream: primary.name }));
}

/** Slots that it had as a primary would keep its WAL for ever. */
async function start(use: Returning, mark: string): Promise<Following> {
  const { cluster, node, primary, mover } = use;
  const what = `start ${node.name} as a standby of ${primary.name}`;
  try {
    return await timed(use, what, async () => {
      const acts = settling({ summary: what, taskQueue: hostQueue(node.host) });
      await acts.startNode({ ...taskOf(cluster, node), ...mover, dropSlots: [peerSlot(primary.name)] });
      return follows(use, { withinMs: FOLLOW_MS, mark });
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const check = { name: 'starts', ok: false, expected: `a standby of ${primary.name}`, found: messageOf(error) };
    return { node: node.name, ok: false, checks: [check] };
  }
}

/** What was written on the primary after the node was started has to be read there. */
export async function follows(
  use: Returning,
  { withinMs, mark }: { withinMs: number; mark: string },
): Promise<Following> {
  const { cluster, node, primary, mover } = use;
  const marker = `${mover.run}/rejoin-${mark}`;
  const what = `write a marker on ${primary.name}`;
  const marked = await at(primary, what).writeMarker({ ...taskOf(cluster, primary), ...mover, marker });
  let replayed = '';
  for (;;) {
    const acts = at(node, `wait until ${node.name} has the marker`);
    const seen = await acts.awaitFollowing({ ...taskOf(cluster, node), ...marked, withinMs });
    const now = seen.checks.find(({ name }) => name === 'has replayed')?.found ?? '';
    if (seen.ok || now === replayed || now === '0/0') return seen;
    replayed = now;
  }
}

async function settled(use: Returning, path: RejoinPath): Promise<RejoinPath> {
  const { cluster, node, primary, mover, said } = use;
  const { following } = said;
  if (!following?.ok) {
    const lacks = following?.checks.find(({ ok }) => !ok);
    throw failure('Precondition', `${node.name} does not follow ${primary.name}, not even as a new copy`, {
      place: node.name,
      expected: `${lacks?.name}: ${lacks?.expected}`,
      found: lacks?.found ?? 'nothing',
      hint: `see the log of ${node.name}; nothing was lost: what it had stands in ${node.dataDir}.rejoin`,
    });
  }
  await timed(use, `remove what was kept beside ${node.name}`, () =>
    at(node, `remove what was kept beside ${node.name}`).tidyNode({ ...taskOf(cluster, node), ...mover }),
  );
  return path;
}
