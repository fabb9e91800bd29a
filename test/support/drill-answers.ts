import type { Activities } from '../../activities/index.ts';
import { clonedNode } from '../../workflows/model/cluster.ts';
import type { CloneRemoved, CloneStarted } from '../../workflows/model/failover-drill.ts';
import { primaryState, standbyState } from './failover-answers.ts';
import type { Script } from './workflow-env.ts';

export const NAMESPACE = 'net:[4026532281]';

/** It reaches nobody. */
export const STARTED: CloneStarted = {
  isolation: {
    ...{ by: 'namespace', namespace: NAMESPACE },
    checks: [{ name: 'cannot reach db-a', ok: true, expected: 'no answer', found: 'the clone: exit 2' }],
  },
  ...{ lsn: '0/5000060', timeline: 1 },
};

export const GONE: CloneRemoved = {
  checks: [{ name: 'files and sockets of the clone', ok: true, expected: 'none', found: 'none' }],
};

/** What every activity about a clone answers when nothing is wrong. */
export const drillAnswers = {
  makeClone: async () => ({ folder: '/srv/b.drill', bytes: 33_554_432 }),
  startClone: async () => STARTED,
  checkClone: async ({ node }) => [{ name: `smoke at ${node}/drill`, ok: true, expected: 'exit 0', found: 'exit 0' }],
  removeClone: async () => GONE,
} satisfies Partial<Activities>;

/** The clone is a primary once it was promoted; the nodes are what they were. `epoch`: what is read back on it. */
export function cloned(epoch = 1): Script {
  return {
    observeNode: ({ node }) => {
      if (clonedNode(node) !== undefined) return primaryState(node, { timeline: 2, epoch });
      return node === 'db-a' ? primaryState(node) : standbyState(node);
    },
  };
}
