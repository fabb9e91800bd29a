import type { Activities } from '../../activities/index.ts';
import type { OldNode, PageDigests, Salvage, WalTrace } from '../../workflows/model/rejoin.ts';
import { goneState, primaryState } from './failover-answers.ts';
import type { Script } from './workflow-env.ts';

export const FORK = '0/5000100';
const SYSTEM = '7312345678901234567';
const DIGESTS: PageDigests = { fromLsn: '0/5000000', toLsn: FORK, pages: ['aa'] };

/** A primary that left timeline 1 at FORK. */
export function traceOf(changes: Partial<WalTrace> = {}): WalTrace {
  const ancestors = [{ timeline: 1, switchLsn: FORK, reason: 'no recovery target specified' }];
  return { systemId: SYSTEM, major: 18, timeline: 2, ancestors, lsn: '0/6000000', ...changes };
}

/** An old primary that crashed behind FORK. */
export function oldNode(changes: Partial<OldNode> = {}): OldNode {
  return {
    ...{ systemId: SYSTEM, major: 18, state: 'in production', timeline: 1, ancestors: [], endLsn: '0/5000800' },
    ...{ walFromLsn: '0/4000000', rewindable: true, segmentBytes: 16_777_216, interrupted: false, digests: DIGESTS },
    ...changes,
  };
}

export const SALVAGE: Salvage = {
  ...{
    timeline: 1,
    fromLsn: FORK,
    endLsn: '0/5000800',
    keys: ['shop/reports/salvage-db-a-1-commits.jsonl'],
    bytes: 16_777_216,
  },
  ...{ hash: 'ab'.repeat(32), commits: 2 },
  first: [
    {
      ...{ xid: '912', lsn: '0/5000200', at: '2026-01-05T03:00:14.500000Z' },
      relations: [{ relation: 'postgres.public.orders', inserts: 3, updates: 0, deletes: 0 }],
    },
  ],
};

const nothing = (): Promise<void> => Promise.resolve();

/** What every activity about a way back answers when nothing is wrong: the old primary went on, and is rewound. */
export const rejoinAnswers = {
  quarantineNode: async () => ({ ran: false }),
  traceWal: async ({ range }) => traceOf(range ? { digests: DIGESTS } : {}),
  examineNode: async () => oldNode(),
  salvageNode: async () => SALVAGE,
  rewindNode: async () => ({ ok: true, said: '' }),
  reseedNode: async () => ({ old: '/srv/a.rejoin/before' }),
  prepareStandby: nothing,
  holdSlot: nothing,
  tidyNode: nothing,
} satisfies Partial<Activities>;

/** db-b is the primary on timeline 2 by now, db-a is down and its worker there. */
export const LEFT: Script = {
  observeNode: ({ node }) =>
    node === 'db-b'
      ? primaryState(node, { timeline: 2, lsn: '0/6000000', epoch: 3 })
      : goneState(node, { running: false, standbySignal: true, epoch: 3 }),
};
