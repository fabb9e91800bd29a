import type { ForensicFacts } from '../../workflows/model/forensic.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { PartSink } from './part-sink.ts';
import type { BackupFacts } from './source.ts';

/** A server that is down, and of which something is wrong. */
export interface DownWish {
  /** Where its files stand on this host; absent: as the options of the source say. */
  directory?: string;
  /** The cluster that the vault has: files of another one are refused, and what they do not say themselves is taken from it. */
  known?: Pick<PointSummary, 'systemId' | 'serverVersion' | 'segmentBytes' | 'timeline'>;
}

/** Evidence out of the files of a server that is down: whatever they are like, what can be read of them is kept. */
export interface ForensicCopying {
  /**
   * Looks and changes nothing. Precondition when a server or what is left of one still works on the files, when they are not on
   * this host or no data directory, or are those of another cluster. Integrity when neither they nor the vault say whose they are.
   */
  find(wish: DownWish): Promise<ForensicFacts>;
  /**
   * Reads all of them, its WAL and its tablespaces too. Pages that are wrong and what cannot be read is recorded, and ends
   * nothing. Failures: those of `find`, also when a server comes up or writes to them meanwhile, and whatever the sink fails with. A repeat starts over.
   */
  copy(out: PartSink, wish: DownWish): Promise<BackupFacts>;
}
