import { join } from 'node:path';
import type { ListedTree } from './list-files.ts';

/** A piece of a file that a part begins, goes on with or ends. */
export interface Piece {
  /** Absolute. */
  path: string;
  /** Offset in the file, bytes. */
  position: number;
  bytes: number;
  /** Number of the first page in its relation; absent where pages have no checksums. */
  block?: number;
}

/** Which file of which tree a piece belongs to, and as which of its slices. */
export interface PieceOwner {
  tree: number;
  file: number;
  slice: number;
}

export interface PlannedPart {
  number: number;
  pieces: Piece[];
  owners: PieceOwner[];
}

export interface PartLimits {
  partBytes: number;
  /** A piece ends with a whole page, so that each page is checked by one thread. */
  pageBytes: number;
  pagesPerSegment: number;
}

/** Files back to back in parts, in the order of the list; made one by one, as they are read. */
export function* planParts(trees: ListedTree[], limits: PartLimits): Generator<PlannedPart> {
  let part: PlannedPart = { number: 1, pieces: [], owners: [] };
  let room = limits.partBytes;
  for (const [tree, { root, files }] of trees.entries()) {
    for (const [file, { path, bytes, segment }] of files.entries()) {
      for (let position = 0, slice = 0; position < bytes; slice++) {
        let next = take(bytes - position, room, limits.pageBytes);
        if (next === 0) {
          yield part;
          part = { number: part.number + 1, pieces: [], owners: [] };
          room = limits.partBytes;
          next = take(bytes - position, room, limits.pageBytes);
        }
        const block =
          segment === undefined ? {} : { block: segment * limits.pagesPerSegment + position / limits.pageBytes };
        part.pieces.push({ path: join(root, path), position, bytes: next, ...block });
        part.owners.push({ tree, file, slice });
        position += next;
        room -= next;
      }
    }
  }
  if (part.pieces.length > 0) yield part;
}

/** The rest of the file where it fits, else whole pages. */
function take(left: number, room: number, pageBytes: number): number {
  return left <= room ? left : room - (room % pageBytes);
}
