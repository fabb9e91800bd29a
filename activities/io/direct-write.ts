import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** What address, length and position of a write past the page cache are multiples of, on every disk that we know of. */
const BLOCK_BYTES = 4096;
/** Copied at once: a piece of this size stays in the processor's cache. */
const STEP_BYTES = 1 << 20;
const WASM_PAGE_BYTES = 64 * 1024;

/** The part of the standard that is used here; it is in no library of types for programs without a browser. */
const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };
};

/** Begins at a page's boundary, which nothing else that JavaScript can make is sure to do. One for each thread. */
let aligned: Uint8Array | undefined;

/** A write may end early, as it does before a disk is full. */
export function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}

/** A file that is open for writing, and where it is. */
export interface OpenFile {
  file: number;
  path: string;
}

/**
 * Writes a large piece of a file past the page cache: copying into fresh pages of the cache is half of the time of a restore,
 * and pushes out of it what a server beside us lives on. What stands at no boundary of the disk's blocks, and everything where
 * the file system knows no such way, goes through the cache.
 */
export function writeLarge({ file, path }: OpenFile, bytes: Uint8Array, position: number): void {
  const head = Math.min(bytes.length, (BLOCK_BYTES - (position % BLOCK_BYTES)) % BLOCK_BYTES);
  const middle = bytes.subarray(head, bytes.length - ((bytes.length - head) % BLOCK_BYTES));
  const done = head + (middle.length > 0 ? writeDirect(path, middle, position + head) : 0);
  writeAll(file, bytes.subarray(0, head), position);
  writeAll(file, bytes.subarray(done), position + done);
}

/** Bytes from the first one on that are written; fewer than there are when it goes no further. */
function writeDirect(path: string, bytes: Uint8Array, position: number): number {
  const file = openDirect(path);
  if (file === undefined) return 0;
  aligned ??= new Uint8Array(new wasm.Memory({ initial: STEP_BYTES / WASM_PAGE_BYTES }).buffer);
  try {
    let done = 0;
    while (done < bytes.length) {
      const step = bytes.subarray(done, done + STEP_BYTES);
      aligned.set(step);
      const written = writeSync(file, aligned, 0, step.length, position + done);
      done += written;
      if (written < step.length) break;
    }
    return done;
  } catch (error) {
    if (isNoWay(error)) return 0;
    throw error;
  } finally {
    closeSync(file);
  }
}

function openDirect(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_DIRECT);
  } catch (error) {
    if (isNoWay(error)) return undefined;
    throw error;
  }
}

/** open(2), write(2): the file system has none, its blocks are larger than ours, or the file is one that only its maker may write. */
function isNoWay(error: unknown): boolean {
  return ['EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}
