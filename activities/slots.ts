import { MOST_STREAMS, streamSlots } from '../workflows/model/names.ts';
import type { SourceConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
import { sourceConfig } from './use-source.ts';

/** Slots that a source streams from; none where its files come from an archiver. */
export function slotsOf({ wal }: SourceConfig): string[] {
  return wal.archive ? [] : streamSlots(wal.slot, wal.streams);
}

/** Slots that streams of a source would have which it has not; never one that another source of the configuration has. */
export function leftSlots(deps: Deps, source: string): string[] {
  const named = new Set(Object.values(deps.config.sources).flatMap(slotsOf));
  return streamSlots(sourceConfig(deps, source).wal.slot, MOST_STREAMS).filter((slot) => !named.has(slot));
}
