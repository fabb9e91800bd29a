import { failure } from './failure.ts';
import type { FileEntry } from './manifest.ts';

/** A file of the cluster that a point makes. */
export interface ListedFile {
  /** In the data directory: "base/5/1259", "pg_tblspc/16400/PG_18_202506291/5/16402"; "config:/etc/..." for what stood outside. */
  path: string;
  type: FileEntry['type'];
  /** Of the whole file; of an increment's changed blocks, what the point holds of it. */
  bytes: number;
  /** ISO 8601, UTC. */
  mtime: string;
  /** The point holds the blocks that changed since the one it stands on. */
  changed?: true;
  /** database.schema.name, where the catalogs of the point tell it. */
  relation?: string;
}

/** A piece of the list, as large as a message may be. */
export interface ContentsPage {
  source: string;
  point: string;
  files: ListedFile[];
  /** Names the next piece; absent: that was the last. */
  next?: number;
  /** Who has the list in memory: the next piece comes soonest from there. */
  host: string;
}

/** Which files are taken out of a point. */
export type Extracted = { file: string } | { relation: string } | { all: true };

/** The whole answer to "what will be taken out", fixed before any byte moves. */
export interface ExtractPlan {
  run: string;
  source: string;
  point: string;
  host: string;
  /** Points that it takes, from the full one to itself. */
  chain: string[];
  what: Extracted;
  /** Path of the file, or of the first file of the relation; of everything ".". */
  path: string;
  /** Absolute; a file for a file, a folder for a relation or everything. */
  to: string;
}

export interface ExtractResult {
  plan: ExtractPlan;
  files: number;
  bytes: number;
  /** Parts that were fetched, of all points. */
  parts: number;
  storedBytes: number;
}

/** What an order of an extraction says. */
interface Extraction {
  file?: string;
  relation?: string;
  all?: boolean;
  to: string;
}

/** In words. */
export function extractedText({ file, relation }: Pick<Extraction, 'file' | 'relation'>): string {
  return file ?? relation ?? 'all files';
}

/** ConfigInvalid unless an order names one thing, and an absolute place for it. */
export function extractedOf({ file, relation, all, to }: Extraction): Extracted {
  if (!to.startsWith('/')) {
    throw failure('ConfigInvalid', 'order extract.to is not an absolute path', {
      ...{ place: 'extract.to', expected: 'an absolute path on the host that takes it', found: to },
      hint: '"to":"/srv/orders"',
    });
  }
  const named: Extracted[] = [
    ...(file === undefined ? [] : [{ file }]),
    ...(relation === undefined ? [] : [{ relation }]),
    ...(all ? [{ all }] : []),
  ];
  const [what, another] = named;
  if (what && !another) return what;
  throw failure('ConfigInvalid', 'order extract names no file and no relation, or both', {
    ...{ place: 'extract.file', expected: 'one of file, relation and all', found: what ? 'several' : 'none' },
    hint: 'lifeboat contents POINT --relations shows what there is',
  });
}
