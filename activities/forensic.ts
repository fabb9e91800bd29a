import type { DamagedState } from '../workflows/model/forensic.ts';
import { summariseForensic } from '../workflows/model/forensic.ts';
import { failure, failureTypeOf, findFailure, isRetryable } from '../workflows/model/failure.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import { summarise } from '../workflows/model/manifest.ts';
import { attempt } from './activity-run.ts';
import type { Deps } from './deps.ts';
import type { DownWish, ForensicCopying } from './sources/forensic-copying.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

export interface DamagedTask {
  source: string;
  /** Data directory on this host; absent: as the source says. */
  directory?: string;
}

const LOOK = { times: 3, waitMs: 1000 };

/**
 * From what the damaged state of a source can be kept: from its server while it answers, unless only files are wanted, else from
 * its files on this host. Precondition when neither can be; touches nothing.
 */
export function findDamaged(deps: Deps, task: DamagedTask & { filesOnly?: boolean }): Promise<DamagedState> {
  return useSource(deps, task.source, async (use) => {
    if (!task.filesOnly && (await answers(use))) return { from: 'server' };
    const facts = await copyingOf(use).find(await wishOf(use, task));
    const { directory, state } = summariseForensic(facts);
    return { from: 'files', host: deps.host, directory, state };
  });
}

/** A server that refuses us answers; one that is away for a moment is asked again. */
async function answers({ session, run }: SourceUse): Promise<boolean> {
  for (let look = 1; ; look++) {
    try {
      await session.identity();
      return true;
    } catch (error) {
      run.signal.throwIfAborted();
      if (failureTypeOf(error) === undefined) throw error;
      if (!isRetryable(error)) return true;
      run.log.warn('the server does not answer', { error: findFailure(error)?.message ?? String(error) });
      if (look === LOOK.times) return false;
      await run.clock.sleep(LOOK.waitMs, run.signal);
    }
  }
}

/**
 * Copies the files of a server that is down into parts and a draft manifest, as evidence that nobody takes for a backup. Nothing
 * is visible until `publishPoint`.
 */
export function copyDamaged(deps: Deps, task: DamagedTask & { prefix: string }): Promise<PointSummary> {
  return useSource(deps, task.source, async (use) => {
    const { vault } = use;
    const point = `${task.prefix}-${attempt()}`;
    // What an attempt left that failed: the store may have no room for two.
    if (attempt() > 1) await vault.discard(`${task.prefix}-`, point);
    await using draft = await vault.begin(point);
    const facts = await copyingOf(use).copy(draft, await wishOf(use, task));
    return summarise(await draft.finish(facts));
  });
}

function copyingOf({ name, config, session }: SourceUse): ForensicCopying {
  if (session.forensic) return session.forensic;
  throw failure('Unsupported', `source ${name} has no files that could be copied`, {
    ...{ place: `source ${name}`, expected: 'a source of kind postgres', found: config.kind },
    hint: '--forensic none',
  });
}

async function wishOf({ vault }: SourceUse, { directory }: DamagedTask): Promise<DownWish> {
  const known = (await vault.points()).points.at(-1);
  return { ...(directory === undefined ? {} : { directory }), ...(known ? { known } : {}) };
}
