import { join } from 'node:path';
import type { PartNumbers } from '../packer.ts';
import type { ListedTree, LocalFile } from './list-files.ts';
import { isSummed } from './list-files.ts';

/** A piece of a file that a part begins, goes on with or ends. */
export interface Piece {
  /** Absolute. */
  path: string;
  /** Offset in the file, bytes. */
  position: number;
  bytes: number;
  /** Number of the first page in its relation; absent where pages have no checksums. */
  block?: number;
  /** A sum is wanted of each of its pages. */
  summed?: true;
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
  /** Sums of pages are wanted, where files are made of whole ones. */
  sums?: true;
}

/** Files back to back in parts, in the order of the list; made one by one, as they are read. */
export function* planParts(trees: ListedTree[], limits: PartLimits, numbers: PartNumbers): Generator<PlannedPart> {
  const { partBytes, pageBytes } = limits;
  let part: Omit<PlannedPart, 'number'> = { pieces: [], owners: [] };
  let room = partBytes;
  for (const [tree, { root, files }] of trees.entries()) {
    for (const [file, local] of files.entries()) {
      let slice = 0;
      for (const { from, end } of rangesOf(local, pageBytes)) {
        for (let position = from; position < end;) {
          let next = take(end - position, room, pageBytes);
          if (next === 0) {
            yield { ...part, number: numbers.next() };
            part = { pieces: [], owners: [] };
            room = partBytes;
            next = take(end - position, room, pageBytes);
          }
          part.pieces.push(pieceOf(join(root, local.path), local, { position, bytes: next, limits }));
          part.owners.push({ tree, file, slice: slice++ });
          position += next;
          room -= next;
        }
      }
    }
  }
  if (part.pieces.length > 0) yield { ...part, number: numbers.next() };
}

function pieceOf(path: string, file: LocalFile, at: { position: number; bytes: number; limits: PartLimits }): Piece {
  const { position, bytes, limits } = at;
  const { pageBytes, pagesPerSegment } = limits;
  if (file.segment === undefined) return { path, position, bytes };
  const summed = limits.sums && isSummed(file, pageBytes) ? { summed: limits.sums } : {};
  return { path, position, bytes, block: file.segment * pagesPerSegment + position / pageBytes, ...summed };
}

interface Range {
  from: number;
  end: number;
}

/** All of the file, or each run of changed pages. */
function* rangesOf({ bytes, changed }: LocalFile, pageBytes: number): Generator<Range> {
  if (!changed) return yield { from: 0, end: bytes };
  for (let index = 0; index < changed.length;) {
    const first = changed[index] as number;
    let count = 1;
    while (changed[index + count] === first + count) count++;
    yield { from: first * pageBytes, end: (first + count) * pageBytes };
    index += count;
  }
}

/** The rest of the file where it fits, else whole pages. */
function take(left: number, room: number, pageBytes: number): number {
  return left <= room ? left : room - (room % pageBytes);
}
