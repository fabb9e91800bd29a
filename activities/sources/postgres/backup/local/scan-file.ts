import { closeSync, openSync } from 'node:fs';
import { fileFailure } from '../../../../io/file-failure.ts';
import type { SumForm } from './block-sums.ts';
import { changedPages, SUM_BYTES, sumsOfPages } from './block-sums.ts';
import { readWhole } from './read-part.ts';

export interface ScanJob extends SumForm {
  /** Absolute. */
  path: string;
  /** Offset in the file and length, bytes; whole pages. */
  position: number;
  bytes: number;
  /** Sums that the parent has of these pages, as far as it has any. */
  known: Uint8Array;
}

export interface Scanned {
  sums: Uint8Array;
  /** Numbers of pages in the file. */
  changed: number[];
}

/** Read at once. */
const STEP_BYTES = 1 << 20;

let buffer = new Uint8Array();

/** Compares a piece of a file with what the parent has of it; undefined when the file is gone. Blocks: for a thread. */
export function scanFile(job: ScanJob): Scanned | undefined {
  const { path, position, bytes, known, pageBytes } = job;
  const step = STEP_BYTES - (STEP_BYTES % pageBytes);
  if (buffer.length < step) buffer = new Uint8Array(step);
  const found: Scanned = { sums: new Uint8Array((bytes / pageBytes) * SUM_BYTES), changed: [] };
  try {
    const file = openSync(path, 'r');
    try {
      for (let at = 0, sumAt = 0; at < bytes; at += step) {
        const pages = buffer.subarray(0, Math.min(step, bytes - at));
        readWhole(file, pages, position + at);
        const sums = sumsOfPages(pages, job);
        const first = (position + at) / pageBytes;
        for (const page of changedPages(sums, known.subarray(sumAt, sumAt + sums.length), first))
          found.changed.push(page);
        found.sums.set(sums, sumAt);
        sumAt += sums.length;
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileFailure(path, error);
  }
  return found;
}
