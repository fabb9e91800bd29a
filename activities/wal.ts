import { failure } from '../workflows/model/failure.ts';
import { streamSlots } from '../workflows/model/names.ts';
import { windowsOf, windowsText } from '../workflows/model/reachable.ts';
import type { WalAnswer } from '../workflows/model/results.ts';
import type { WalHole } from '../workflows/model/wal.ts';
import type { Deps } from './deps.ts';
import type { LogShipping } from './sources/source.ts';
import { holdingsOf } from './holdings.ts';
import { leftSlots, slotsOf } from './slots.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

const LOOK_MS = 100;

export interface WalTask {
  source: string;
  /** Which of several, from 1, the default. */
  stream?: number;
  /** Go on behind this hole: somebody has been told that a new base is needed. */
  passHole?: WalHole;
}

/** Streams until it is cancelled. It returns only then: a stream that ends by itself would be a hole nobody notices. */
export function streamWal(deps: Deps, { source, stream = 1, ...passing }: WalTask): Promise<void> {
  return useSource(deps, source, async (use) => {
    const { wal } = use.config;
    const slot = streamSlots(wal.slot, stream).at(-1) ?? wal.slot;
    await logOf(use).ship(use.vault.wal, { ...wal, slot, ...passing });
    use.run.signal.throwIfAborted();
  });
}

/**
 * Drops the slot of a stream that there is not to be any more, for the run that streamed from it: only that knows that it is
 * ours. Precondition while the configuration names it. A repeat finds it gone.
 */
export function dropStreamSlot(
  deps: Deps,
  { source, stream }: { source: string; stream: number },
): Promise<{ slot: string; found: string }> {
  return useSource(deps, source, async (use) => {
    const { wal } = use.config;
    const slot = streamSlots(wal.slot, stream).at(-1) ?? wal.slot;
    const others = slotsOf(use.config);
    if (others.includes(slot)) {
      throw failure('Precondition', `slot ${slot} is that of stream ${stream} of ${source}`, {
        ...{ place: `sources.${source}.wal.streams`, expected: `fewer than ${stream}`, found: `${wal.streams ?? 1}` },
        hint: 'it is dropped when the configuration of the workers names it no more: restart them, then lifeboat apply',
      });
    }
    if (!leftSlots(deps, source).includes(slot)) return { slot, found: 'another source has it now' };
    const { from } = wal;
    const found = await logOf(use).dropSlot(use.vault.wal, { slot, others, ...(from === undefined ? {} : { from }) });
    return { slot, found };
  });
}

/** Returns when the server streams to a slot of ours: from then on no WAL of a backup can be missed. */
export function awaitStreaming(deps: Deps, { source }: { source: string }): Promise<void> {
  return useSource(deps, source, async (use) => {
    for (;;) {
      const { server, unreachable } = await logOf(use).status(use.vault.wal, use.config.wal);
      // What fails to be archived is kept by the server, and tried again. One stream of several is enough.
      const slots = server ? [server, ...(server.others ?? [])] : [];
      if (slots.some(({ slotState }) => ['streaming', 'archiving', 'failing'].includes(slotState))) return;
      const note = server ? `slot ${server.slot} is ${server.slotState}` : `server not reachable: ${unreachable}`;
      use.run.progress({ phase: 'waiting for the WAL stream', note });
      await use.run.clock.sleep(LOOK_MS, use.run.signal);
    }
  });
}

/** What the vault holds, what of it can be reached, and how far the server is ahead. */
export function readWal(deps: Deps, { source }: { source: string }): Promise<WalAnswer> {
  return useSource(deps, source, async (use) => {
    const status = await logOf(use).status(use.vault.wal, { ...use.config.wal, left: leftSlots(deps, source) });
    const { points } = await use.vault.points();
    const systemId = status.systemId || points.at(-1)?.systemId;
    if (systemId === undefined) return { ...status, windows: [] };
    const holdings = await holdingsOf(use.vault, { systemId, points });
    const { ranges, gaps, histories } = holdings;
    return { ...status, systemId, ranges, gaps, histories, windows: windowsOf(holdings) };
  });
}

const WINDOWS_TOLD = 5;

/** The newest moments that the vault can bring back, in words; the server is not asked. */
export function reachableNow(deps: Deps, source: string): Promise<string> {
  return useSource(deps, source, async ({ vault }) => {
    const { points } = await vault.points();
    const systemId = points.at(-1)?.systemId;
    if (systemId === undefined) return windowsText([]);
    return windowsText(windowsOf(await holdingsOf(vault, { systemId, points })).slice(-WINDOWS_TOLD));
  });
}

export function logOf({ name, config, session }: SourceUse): LogShipping {
  if (session.log) return session.log;
  throw failure('Unsupported', `source ${name} of kind ${config.kind} has no WAL to stream`, {
    ...{ place: `source ${name}`, expected: 'a source of kind postgres', found: config.kind },
    hint: `its moments are its dumps: lifeboat list ${name}`,
  });
}
