import { workflowInfo } from '@temporalio/workflow';
import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { ensureWal } from './lib/ensure-wal.ts';
import { isoNow } from './lib/time.ts';
import type { PointSummary } from './model/manifest.ts';
import { pointPrefix } from './model/names.ts';
import type { BackupOrder } from './model/orders.ts';
import { formatBytes } from './model/units.ts';
import { bulk, quick } from './options.ts';

/**
 * A full backup: WAL streams first, then the base, then it counts when the WAL that makes it consistent is in the vault.
 * Input: {"source":"shop"}.
 */
export async function backup(given: BackupOrder): Promise<PointSummary> {
  const { order, journal, facts, notices } = await begin<BackupOrder>('backup', given, {
    'source!': 'text',
    label: 'text',
    checkpoint: ['fast', 'spread'],
  });
  const { source } = order;
  const prefix = pointPrefix(isoNow(), workflowInfo().runId);
  return conclude(
    journal,
    async (undo) => {
      journal.step('check the source and the store');
      await quick({ summary: `check ${facts.place} and store ${facts.store}` }).checkBackup({ source, prefix });
      journal.step('wait for the WAL stream');
      await ensureWal(source);
      await bulk({ summary: 'wait until the server streams to our slot' }).awaitStreaming({ source });
      undo.push('remove the unfinished backup', () =>
        bulk({ summary: 'remove drafts' }).discardDrafts({ source, prefix }),
      );
      journal.step('take the base backup');
      const draft = await bulk({ summary: `base backup of ${facts.place}` }).takeBackup({ ...order, prefix });
      journal.note(`${formatBytes(draft.bytes)} in ${draft.parts} parts, WAL needed up to ${draft.stopLsn}`);
      journal.step('wait for the WAL of the backup');
      await bulk({ summary: `WAL ${draft.startLsn} to ${draft.stopLsn}` }).awaitWal({ source, need: draft });
      journal.step('publish the recovery point');
      const { point } = draft;
      return await bulk({ summary: `publish ${point}` }).publishPoint({ source, point, prefix });
    },
    async (error) => {
      notices.send({ severity: 'critical', title: `backup of ${source} failed`, body: messageOf(error) });
      await notices.settle();
    },
  );
}
