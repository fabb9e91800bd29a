import { closeSync, openSync, readSync } from 'node:fs';
import { crc32c } from '../../../../io/crc32c.ts';
import { fileFailure } from '../../../../io/file-failure.ts';
import type { Filled } from '../../../part-sink.ts';
import { sumsOfPages } from './block-sums.ts';
import { PageMemory } from './page-checksum.ts';
import type { Piece } from './part-pieces.ts';

export interface ReadJob {
  pieces: Piece[];
  pageBytes: number;
  /** LSN at which the backup started, 64 bits in decimal; absent when the cluster has no page checksums. */
  since?: string;
  /** Of the sums that are wanted of pages; absent when none are. */
  key?: Uint8Array;
  /** Nobody writes to the files: what cannot be read is zeros and told, and what is wrong is wrong. */
  asFound?: true;
}

/** A range of a file that could not be read. */
export interface UnreadRange {
  /** Index among the pieces. */
  piece: number;
  /** Offset in the file, bytes. */
  from: number;
  bytes: number;
  /** "EIO" */
  reason: string;
}

export interface DamagedPage {
  /** Index among the pieces. */
  piece: number;
  /** Number of the page in its relation. */
  block: number;
}

export interface ReadSaid {
  /** CRC-32C of each piece; undefined when its file is gone. */
  sums: (number | undefined)[];
  damaged: DamagedPage[];
  /** Sums of the pages of each piece that wants them, by index of the piece. */
  pageSums: Map<number, Uint8Array>;
  /** Of the pages that were not checked, the highest LSN, 64 bits in decimal, and whose it is; absent when all were. */
  newest?: { lsn: string; piece: number };
  /** Of files that are taken as they are found; absent when all could be read. */
  unread?: UnreadRange[];
}

/** A page may be read while the server writes it: again, a few times, before it counts as damaged. */
const REREADS = 5;
const REREAD_WAIT_MS = 10;
/** Read, checked and summed at once: it stays in the processor's cache. A multiple of every size of page. */
const STEP_BYTES = 256 * 1024;

let memory: PageMemory | undefined;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Reads pieces of files back to back, and checks their pages. Blocks: for a thread. */
export function fill(job: ReadJob): Filled<ReadSaid> {
  const { pieces, pageBytes } = job;
  const reading = {
    job,
    memory: (memory ??= new PageMemory()),
    said: { sums: [], damaged: [], pageSums: new Map() },
  } as Reading;
  // A job that failed may have left its own.
  reading.memory.takeNewest();
  const buffer = reading.memory.ofAtLeast(
    pieces.reduce((sum, piece) => sum + piece.bytes, 0),
    pageBytes,
  );
  let at = 0;
  try {
    for (const [index, piece] of pieces.entries()) {
      const there = readPiece(reading, buffer.subarray(at, at + piece.bytes), { index, at });
      if (there) at += piece.bytes;
    }
  } finally {
    close(reading);
  }
  return { bytes: buffer.subarray(0, at), said: reading.said };
}

interface Reading {
  job: ReadJob;
  memory: PageMemory;
  said: ReadSaid;
  /** The file of the last piece: a file of changed pages has many. */
  open?: { path: string; file: number };
}

function opened(reading: Reading, path: string): number {
  if (reading.open?.path === path) return reading.open.file;
  close(reading);
  const file = openSync(path, 'r');
  reading.open = { path, file };
  return file;
}

function close(reading: Reading): void {
  const { open } = reading;
  delete reading.open;
  if (open) closeSync(open.file);
}

interface At {
  /** Of the piece in the job. */
  index: number;
  /** Of the piece in the part. */
  at: number;
}

/** False when the file is gone: a relation that was dropped, which replay drops again. */
function readPiece(reading: Reading, bytes: Uint8Array, { index, at }: At): boolean {
  const piece = reading.job.pieces[index] as Piece;
  const { path } = piece;
  let sum = 0;
  try {
    const file = opened(reading, path);
    for (let done = 0; done < bytes.length; done += STEP_BYTES) {
      const step = bytes.subarray(done, done + STEP_BYTES);
      readStep(reading, step, { piece: index, from: piece.position + done, file });
      checkPages(reading, step, { index, at, done, file });
      sum = crc32c(step, sum);
    }
  } catch (error) {
    if (reading.job.asFound) sum = leaveOut(reading.said, bytes, { piece: index, from: piece.position, error });
    else if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileFailure(path, error);
    else {
      reading.said.sums.push(undefined);
      return false;
    }
  }
  reading.said.sums.push(sum);
  const { key, pageBytes } = reading.job;
  if (piece.summed && key) reading.said.pageSums.set(index, sumsOfPages(bytes, { key, pageBytes }));
  return true;
}

function readStep({ job, said }: Reading, bytes: Uint8Array, at: { piece: number; from: number; file: number }): void {
  const { piece, from, file } = at;
  try {
    return readWhole(file, bytes, from);
  } catch (error) {
    if (!job.asFound) throw error;
  }
  // Page by page: around a sector that is bad everything is read.
  for (let done = 0; done < bytes.length; done += job.pageBytes) {
    const page = bytes.subarray(done, done + job.pageBytes);
    try {
      readWhole(file, page, from + done);
    } catch (error) {
      leaveOut(said, page, { piece, from: from + done, error });
    }
  }
}

/** Zeros in place of what cannot be read, which is told; their CRC-32C. */
function leaveOut(said: ReadSaid, bytes: Uint8Array, at: { piece: number; from: number; error: unknown }): number {
  const { piece, from, error } = at;
  const { code: reason } = error as NodeJS.ErrnoException;
  if (reason === undefined) throw error;
  bytes.fill(0);
  const unread = (said.unread ??= []);
  const last = unread.at(-1);
  const goesOn = last?.piece === piece && last.reason === reason && last.from + last.bytes === from;
  if (goesOn) last.bytes += bytes.length;
  else unread.push({ piece, from, bytes: bytes.length, reason });
  return crc32c(bytes);
}

/** What a file has lost since it was listed is zeros, as in the server's own backups: replay cuts it off again. */
export function readWhole(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const read = readSync(file, bytes, done, bytes.length - done, position + done);
    if (read === 0) return void bytes.fill(0, done);
    done += read;
  }
}

interface Step extends At {
  /** Bytes of the piece before it. */
  done: number;
  file: number;
}

function checkPages(reading: Reading, bytes: Uint8Array, step: Step): void {
  const { job, memory: pages, said } = reading;
  const { index, file } = step;
  const piece = job.pieces[index] as Piece;
  const { pageBytes, since } = job;
  if (piece.block === undefined || since === undefined) return;
  const sinceLsn = BigInt(since);
  const [at, position] = [step.at + step.done, piece.position + step.done];
  const block = piece.block + step.done / pageBytes;
  const range = { at, pages: Math.floor(bytes.length / pageBytes), block, pageBytes };
  for (const wrong of pages.wrongPages(range, sinceLsn)) {
    const offset = (wrong - block) * pageBytes;
    const page = bytes.subarray(offset, offset + pageBytes);
    const again = (): boolean => {
      readWhole(file, page, position + offset);
      return pages.wrongPages({ at: at + offset, pages: 1, block: wrong, pageBytes }, sinceLsn).length === 0;
    };
    if (job.asFound || !tryAgain(again)) said.damaged.push({ piece: index, block: wrong });
  }
  const lsn = pages.takeNewest();
  if (lsn > BigInt(said.newest?.lsn ?? 0)) said.newest = { lsn: String(lsn), piece: index };
}

function tryAgain(isRight: () => boolean): boolean {
  for (let tries = 0; tries < REREADS; tries++) {
    if (isRight()) return true;
    Atomics.wait(sleeper, 0, 0, REREAD_WAIT_MS);
  }
  return false;
}
