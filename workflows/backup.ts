import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { Begun } from './lib/begin.ts';
import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { ensureWal } from './lib/ensure-wal.ts';
import { whenLonger } from './lib/patience.ts';
import { isoNow } from './lib/time.ts';
import { newBaseSignal } from './messages.ts';
import { forecastText } from './model/forecast.ts';
import type { PointSummary } from './model/manifest.ts';
import { POINT_KINDS } from './model/manifest.ts';
import { pointPrefix, workflowId } from './model/names.ts';
import type { BackupOrder } from './model/orders.ts';
import type { BackupResult, SourceFacts } from './model/results.ts';
import { formatBytes, formatDuration } from './model/units.ts';
import { bulk, foreign, quick } from './options.ts';

/** A stream that works is there within seconds. */
const PATIENCE_MS = 60_000;

/**
 * A backup: WAL streams first, then the base, then it counts when the WAL that makes it consistent is in the vault. A dump
 * needs no WAL.
 * Input: {"source":"shop"}, or {"source":"shop","type":"incremental"} for what changed since the newest point.
 */
export async function backup(given: BackupOrder): Promise<BackupResult> {
  const begun = await begin<BackupOrder>('backup', given, {
    'source!': 'text',
    label: 'text',
    checkpoint: ['fast', 'spread'],
    type: POINT_KINDS,
  });
  const { order, journal, facts, notices } = begun;
  const { source } = order;
  const prefix = pointPrefix(isoNow(), workflowInfo().runId);
  return conclude(
    journal,
    async (undo) => {
      journal.step('check the source and the store');
      await quick({ summary: `check ${facts.place} and store ${facts.store}` }).checkBackup({ source, prefix });
      if (!facts.dumps) await streamFirst(begun);
      undo.push('remove the unfinished backup', () =>
        bulk({ summary: 'remove drafts' }).discardDrafts({ source, prefix }),
      );
      const draft = await take(begun, prefix);
      tellFallback(begun, draft);
      tellServer(begun, draft);
      tellDamage(begun, draft);
      if (!facts.dumps) await awaitItsWal(begun, draft);
      journal.step('publish the recovery point');
      const { point } = draft;
      const published = await bulk({ summary: `publish ${point}` }).publishPoint({ source, point, prefix });
      tellForecast(begun, published);
      if (!facts.dumps) await tellStreams(facts, published);
      return published;
    },
    {
      tell: (error) => {
        notices.send({ severity: 'error', title: `backup of ${source} failed`, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}

async function streamFirst(begun: Begun<BackupOrder>): Promise<void> {
  const { source } = begun.order;
  begun.journal.step('wait for the WAL stream');
  await ensureWal(begun.facts);
  const streaming = bulk({ summary: 'wait until the server streams to our slot' });
  await waitForWal(begun, () => streaming.awaitStreaming({ source }));
}

async function take({ order, journal, facts }: Begun<BackupOrder>, prefix: string): Promise<PointSummary> {
  journal.step(facts.dumps ? 'dump' : 'take the base backup');
  const acts = facts.dumps
    ? foreign({ summary: `dump of ${facts.place}` })
    : bulk({ summary: `base backup of ${facts.place}` });
  const draft = await acts.takeBackup({ ...order, prefix });
  const { dump } = draft;
  const size = `${formatBytes(draft.bytes)} in ${draft.parts} parts`;
  if (!dump) journal.note(`${size}, WAL needed up to ${draft.stopLsn}`);
  else journal.note(`${size}: ${dump.databases.join(', ')}; ${dump.tables} tables, ${dump.rows} rows`);
  if (dump?.rolePasswords === false) journal.note('roles without their passwords: the role may not read them');
  return draft;
}

async function awaitItsWal(begun: Begun<BackupOrder>, draft: PointSummary): Promise<void> {
  const { source } = begun.order;
  begun.journal.step('wait for the WAL of the backup');
  const arriving = bulk({ summary: `WAL ${draft.startLsn} to ${draft.stopLsn}` });
  await waitForWal(begun, () => arriving.awaitWal({ source, need: draft }));
}

/** More than was ordered takes longer and more room, for a reason that may need somebody: it is said, and goes on. */
function tellFallback({ order, journal, notices }: Begun<BackupOrder>, { fallback }: PointSummary): void {
  if (fallback === undefined) return;
  journal.note(`a full backup instead of ${order.type}: ${fallback}`);
  const title = `backup of ${order.source} is a full one instead of ${order.type}`;
  notices.send({ severity: 'warning', title, body: fallback, lasting: true });
}

/** Before the disaster there is time to make a restore faster: more often a base, or a faster host. */
function tellForecast({ order, journal, notices }: Begun<BackupOrder>, { forecast }: BackupResult): void {
  if (!forecast) return;
  const text = forecastText(forecast);
  journal.note(`a restore will take ${text}; ${forecast.says}`);
  if (forecast.verdict !== 'broken') return;
  const { source } = order;
  const title = `a restore of ${source} would miss its RTO of ${formatDuration(forecast.objectiveMs ?? 0)}`;
  const body = `It will take ${text}. This rests on: ${forecast.says}. Measure it with lifeboat drill ${source}; take bases more often, or restore on a faster host.`;
  notices.send({ severity: 'warning', title, body, lasting: true });
}

/** Which server a backup loads is chosen with care: that it is another one is said. */
function tellServer({ order, journal, notices }: Begun<BackupOrder>, { takenFrom }: PointSummary): void {
  if (!takenFrom) return;
  const { server, role, instead, unseen } = takenFrom;
  journal.note(`taken from ${server}, the ${role}`);
  if (unseen !== undefined) journal.note(`its primary was not seen: ${unseen}`);
  if (instead === undefined) return;
  journal.note(`the primary instead of a standby: ${instead}`);
  const title = `backup of ${order.source} was taken from the primary instead of a standby`;
  notices.send({ severity: 'warning', title, body: instead, lasting: true });
}

/** It is kept: what is whole in it is worth having. But the older backups that have those pages must not expire. */
function tellDamage({ order, journal, notices }: Begun<BackupOrder>, { damaged }: PointSummary): void {
  if (!damaged) return;
  const what = `${damaged.pages} damaged pages on the source, so in this backup: ${damaged.first.join(', ')}`;
  journal.note(what);
  const body = `${what}. Look with pg_amcheck, and restore those pages from an older backup while there is one.`;
  const title = `${order.source} has damaged pages`;
  notices.send({ severity: 'critical', title, body, lasting: true });
}

/** The stream is another run's: what keeps it from going on is told there, and where to look is told here. */
async function waitForWal({ journal, notices }: Begun<BackupOrder>, work: () => Promise<void>): Promise<void> {
  const { source } = journal.progress;
  const look = `lifeboat wal ${source}, lifeboat status ${workflowId.wal(source)}`;
  const then = (): void => {
    journal.attention(`the WAL of ${source} does not arrive, the backup waits for it: ${look}`);
    const title = `backup of ${source} waits for its WAL`;
    notices.send({ severity: 'warning', title, body: `It goes on when the WAL arrives. Look: ${look}` });
  };
  await whenLonger(work, { afterMs: PATIENCE_MS, summary: 'patience with the WAL stream', then });
  journal.attention(undefined);
}

/** They may have ended by now, which their own people were told. */
async function tellStreams(
  { source, walStreams = 1 }: SourceFacts,
  { systemId, timeline, startLsn }: PointSummary,
): Promise<void> {
  for (let stream = 1; stream <= walStreams; stream++)
    await getExternalWorkflowHandle(workflowId.wal(source, stream))
      .signal(newBaseSignal, { systemId, timeline, startLsn })
      .catch(() => undefined);
}
