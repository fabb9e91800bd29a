import { Context } from '@temporalio/activity';
import { failureFacts } from '../workflows/model/failure.ts';
import { shortRun } from '../workflows/model/names.ts';
import type { PointUse } from '../workflows/model/retention.ts';
import { unlessRefused } from './io/unless-refused.ts';
import type { SourceUse } from './use-source.ts';
import type { UseNote, Vault } from './vault/vault.ts';

/**
 * Who reads a point says so in the vault before it looks whether the point is there; who removes says what, before it looks
 * who reads. So at least one of two sees the other, whatever Temporal each of them runs on.
 */
export const REMOVAL = 'removal';

const LOOK_MS = 200;
const DAY_MS = 86_400_000;
/** A note whose run cannot be asked for, because another Temporal or nobody knows it, counts for this long. */
const UNKNOWN_READER_MS = 30 * DAY_MS;
const UNKNOWN_REMOVAL_MS = 15 * 60_000;

interface Run {
  workflowId: string;
  runId: string;
}

export function ownRun(): Run & { type: string } {
  const { workflowExecution, workflowType } = Context.current().info;
  return {
    workflowId: workflowExecution?.workflowId ?? '',
    runId: workflowExecution?.runId ?? '',
    type: workflowType ?? 'run',
  };
}

/** An attempt that is late must not overwrite the note of the one that follows it. */
function ownPrefix(): string {
  const { type, runId } = ownRun();
  return `${type}-${shortRun(runId)}-`;
}

type Used = Pick<UseNote, 'points' | 'wal'>;

/** From its return on nothing of it is removed until `endUse`, or until this run is over. */
export async function takeIntoUse(use: SourceUse, used: Used): Promise<void> {
  await noteUse(use, used);
  await awaitRemoval(use, used.points);
}

/** Every point that is there. Those that were removed before they were in use are in no list that counts. */
export async function takeAllIntoUse(use: SourceUse, { wal }: Pick<Used, 'wal'>): ReturnType<Vault['points']> {
  const { points, forensic } = await use.vault.points();
  await takeIntoUse(use, { points: [...points, ...forensic].map(({ point }) => point), wal });
  return use.vault.points();
}

/** Replaces what was said before; only for less than that. */
export async function noteUse({ vault, run }: SourceUse, used: Used): Promise<void> {
  const { workflowId, runId } = ownRun();
  try {
    await vault.uses.put(`${ownPrefix()}${Context.current().info.attempt}`, { workflowId, runId, ...used });
  } catch (error) {
    if (failureFacts(error).found !== 'EROFS') throw error;
    run.log.warn('the store is on a read-only file system: nobody is told what is read of it', { run: workflowId });
  }
}

/** The same around work that chooses what will be read. What is refused reads nothing: its note goes with the refusal. */
export async function usedUnlessRefused<T>(use: SourceUse, used: Used, choose: () => Promise<T>): Promise<T> {
  await takeIntoUse(use, used);
  try {
    return await choose();
  } catch (error) {
    await endUse(use).catch((again: unknown) => use.run.log.warn('a note of use stays', { error: String(again) }));
    throw error;
  }
}

/** Of all attempts of this run. */
export async function endUse({ vault }: SourceUse): Promise<void> {
  await vault.uses.remove(ownPrefix());
}

/** Returns when nobody is about to remove one of these points. */
export async function awaitRemoval({ vault, run }: SourceUse, points: UseNote['points']): Promise<void> {
  for (;;) {
    const removal = await vault.uses.read(REMOVAL);
    if (!removal || !overlaps(removal.points, points)) return;
    if (!(await isAlive(removal, UNKNOWN_REMOVAL_MS, await ageMs(vault.uses, REMOVAL, run.clock.nowMs())))) {
      run.log.warn('a removal that nobody goes on with is passed over', { run: removal.workflowId });
      // A store that refuses to delete keeps nobody from reading.
      await unlessRefused([], REMOVAL, () => vault.uses.remove(REMOVAL));
      return;
    }
    run.progress({ phase: 'waiting for a removal to end', note: removal.workflowId });
    await run.clock.sleep(LOOK_MS, run.signal);
  }
}

async function ageMs(uses: SourceUse['vault']['uses'], name: string, nowMs: number): Promise<number> {
  const at = await uses.storeTime(name);
  return at === undefined ? 0 : nowMs - Date.parse(at);
}

function overlaps(some: UseNote['points'], others: UseNote['points']): boolean {
  if (some === 'all' || others === 'all') return true;
  return some.some((point) => others.includes(point));
}

/** Whether a run goes on. One that nobody can be asked about does until it is old. */
async function isAlive({ workflowId, runId }: Run, limitMs: number, age: number): Promise<boolean> {
  if (workflowId !== '') {
    try {
      const { status } = await Context.current().client.workflow.getHandle(workflowId, runId).describe();
      return status.name === 'RUNNING';
    } catch {
      // Another namespace's, or forgotten: its age says.
    }
  }
  return age < limitMs;
}

/** What is read now; notes of runs that are over are removed on the way. Undefined while somebody has not chosen yet. */
export async function usesNow({ vault, run }: SourceUse): Promise<PointUse[] | undefined> {
  const uses: PointUse[] = [];
  let isUndecided = false;
  for (const { name, note, at } of await vault.uses.list()) {
    if (name === REMOVAL) continue;
    if (!(await isAlive(note, UNKNOWN_READER_MS, run.clock.nowMs() - Date.parse(at)))) await vault.uses.remove(name);
    else if (note.points === 'all') isUndecided = true;
    else uses.push({ points: note.points, wal: note.wal, by: note.workflowId });
  }
  return isUndecided ? undefined : uses;
}
