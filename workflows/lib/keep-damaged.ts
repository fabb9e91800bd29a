import { isCancellation, patched, workflowInfo } from '@temporalio/workflow';
import { failure, failureFacts } from '../model/failure.ts';
import type { DamagedState } from '../model/forensic.ts';
import type { PointSummary } from '../model/manifest.ts';
import { hostQueue, pointPrefix } from '../model/names.ts';
import { bulk, quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import { ensureWal } from './ensure-wal.ts';
import type { Saving } from './take-over.ts';
import { isoNow } from './time.ts';

/** Of histories from before only a server that answers was copied. */
const FILES_OF_A_DOWN_SERVER = 'forensic-copy-of-files';

/** A copy of what is damaged, so that whatever happens it can be looked at; its name. */
export async function keepDamaged(use: Saving): Promise<string> {
  const { order, journal } = use;
  const { source } = order;
  const prefix = pointPrefix(isoNow(), workflowInfo().runId);
  journal.step('keep a copy of the damaged state');
  try {
    const state = await damagedState(use);
    const draft = state.from === 'files' ? await copyFiles(use, state, prefix) : await backUp(use, prefix);
    const publishing = bulk({ summary: `publish ${draft.point}` });
    const { point } = await publishing.publishPoint({ source, point: draft.point, prefix });
    journal.note(`the damaged state is kept as ${point}`);
    return point;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { hint } = failureFacts(error);
    const byHand = 'keep a copy of its data directory by hand, then: lifeboat recover ... --forensic none';
    throw failure('Precondition', `damaged state of ${source} cannot be kept: ${messageOf(error)}`, {
      place: source,
      expected: 'a full backup of it, or a copy of its files',
      found: messageOf(error),
      hint: hint === undefined ? byHand : `${hint}; or ${byHand}`,
    });
  }
}

async function damagedState({ order }: Saving): Promise<DamagedState> {
  const { source, forensic, forensicDirectory: directory, forensicHost: host } = order;
  if (forensic === 'backup' || !patched(FILES_OF_A_DOWN_SERVER)) return { from: 'server' };
  const looking = quick({
    summary: `how the damaged state of ${source} can be kept`,
    ...(host === undefined ? {} : { taskQueue: hostQueue(host) }),
  });
  return looking.findDamaged({
    source,
    ...(forensic === 'files' ? { filesOnly: true } : {}),
    ...(directory === undefined ? {} : { directory }),
  });
}

/** A full one: what changed since another point stands on that. */
async function backUp(use: Saving, prefix: string): Promise<PointSummary> {
  const { source } = use.order;
  await quick({ summary: `check ${source}` }).checkBackup({ source, prefix });
  await ensureWal(use.facts);
  removeLater(use, prefix);
  const label = `forensic, before the recovery ${workflowInfo().runId}`;
  const taking = bulk({ summary: `forensic backup of ${source}` });
  const draft = await taking.takeBackup({ source, prefix, label, type: 'full' });
  await bulk({ summary: 'WAL of the forensic backup' }).awaitWal({ source, need: draft });
  return draft;
}

type Files = DamagedState & { from: 'files' };

/** Nothing that such a copy is or lacks ends the recovery: what is wrong with it is what it is taken for. */
async function copyFiles(use: Saving, { host, directory, state }: Files, prefix: string): Promise<PointSummary> {
  const { order, journal, said } = use;
  const { source } = order;
  journal.note(`the server does not answer: its files are copied, ${directory} on host ${host}, ${state}`);
  removeLater(use, prefix);
  const copying = bulk({ summary: `forensic copy of ${directory}`, taskQueue: hostQueue(host) });
  const draft = await copying.copyDamaged({ source, prefix, directory });
  const { forensic, damaged } = draft;
  if (damaged) journal.note(`${damaged.pages} damaged pages: ${damaged.first.join(', ')}`);
  if (forensic && forensic.unread > 0) journal.note(`${forensic.unread} places unread: ${forensic.first.join('; ')}`);
  const value = `${draft.point}, a copy of ${directory} on host ${host}: ${forensic?.state ?? state}`;
  said.facts = [...(said.facts ?? []), { name: 'damaged state', value }];
  return draft;
}

function removeLater({ order, undo }: Saving, prefix: string): void {
  const { source } = order;
  const removing = bulk({ summary: 'remove drafts' });
  undo.push('remove the unfinished backup', () => removing.discardDrafts({ source, prefix }));
}
