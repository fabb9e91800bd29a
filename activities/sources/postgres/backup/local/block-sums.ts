import { hash } from 'node:crypto';

/** Bytes of one sum: the first half of a SHA-256. */
export const SUM_BYTES = 16;

/** How the sums of a point are made, and how large what they are of is. */
export interface SumForm {
  /** Random, and a secret of the point: nobody who writes rows can look for two pages of one sum. */
  key: Uint8Array;
  pageBytes: number;
}

/** One sum for each whole page, in order: what stands for the content of a page in later backups (docs/format.md "Block sums"). */
export function sumsOfPages(pages: Uint8Array, { key, pageBytes }: SumForm): Uint8Array {
  const count = Math.floor(pages.length / pageBytes);
  const sums = new Uint8Array(count * SUM_BYTES);
  const message = new Uint8Array(key.length + pageBytes);
  message.set(key);
  for (let page = 0; page < count; page++) {
    message.set(pages.subarray(page * pageBytes, (page + 1) * pageBytes), key.length);
    sums.set(hash('sha256', message, 'buffer').subarray(0, SUM_BYTES), page * SUM_BYTES);
  }
  return sums;
}

/** Numbers of the pages whose sum is not the one that was known, or that had none. */
export function changedPages(sums: Uint8Array, known: Uint8Array, first: number): number[] {
  const changed: number[] = [];
  for (let at = 0; at < sums.length; at += SUM_BYTES) {
    if (!isSame(sums, known, at)) changed.push(first + at / SUM_BYTES);
  }
  return changed;
}

function isSame(sums: Uint8Array, known: Uint8Array, at: number): boolean {
  if (at + SUM_BYTES > known.length) return false;
  for (let byte = at; byte < at + SUM_BYTES; byte++) if (sums[byte] !== known[byte]) return false;
  return true;
}
