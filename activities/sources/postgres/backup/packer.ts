import type { FileEntry, FileSlice, FileTree, PartRef } from '../../../../workflows/model/manifest.ts';
import { isoTime } from '../../../io/clock.ts';
import { crc32c, crc32cCombine } from '../../../io/crc32c.ts';
import { copyIntoShared } from '../../../io/memory.ts';
import type { PartSink } from '../../part-sink.ts';
import { checkFileCount } from './most-files.ts';
import type { TarEntry } from './tar.ts';

/** Numbers of parts, dense from 1: shared by all that writes parts of one backup. */
export class PartNumbers {
  #last: number;

  constructor(last = 0) {
    this.#last = last;
  }

  next(): number {
    return ++this.#last;
  }
}

/**
 * Packs the content of files back to back into parts, and notes which slice of which part is which piece of which file.
 * Every byte is copied once, into its part, and its CRC-32C is taken on the way. Parts go to the sink as they fill, several
 * at a time: at most `sink.parallel` are in flight and one is being filled, all in buffers that are used again.
 */
export class Packer {
  readonly trees: FileTree[];
  readonly #parts: PartRef[] = [];
  readonly #sink: PartSink;
  readonly #flying = new Set<Promise<void>>();
  readonly #spare: Buffer[] = [];
  #buffer: Buffer | undefined;
  #used = 0;
  /** Number of the part that is being filled. */
  #part = 0;
  readonly #numbers: PartNumbers;
  #entries: number;
  #file: FileEntry | undefined;
  #slice: FileSlice | undefined;
  #failed: { error: unknown } | undefined;

  /** Goes on behind parts and trees that are there already. */
  constructor(
    sink: PartSink,
    before: { numbers: PartNumbers; trees: FileTree[] } = { numbers: new PartNumbers(), trees: [] },
  ) {
    this.#sink = sink;
    this.#numbers = before.numbers;
    this.trees = before.trees;
    this.#entries = before.trees.reduce((count, { files }) => count + files.length, 0);
  }

  startTree(id: string, location?: string): void {
    this.trees.push({ id, ...(location === undefined ? {} : { location }), files: [] });
  }

  /** Content of a file follows by `add`, then `endEntry`. Goes into the tree started last, or the one named. */
  startEntry(entry: Omit<TarEntry, 'bytes'>, tree?: string): void {
    checkFileCount(++this.#entries);
    const { path, type, mode, target } = entry;
    const common = { path, type, mode, mtime: isoTime(entry.mtimeMs), bytes: 0 };
    this.#slice = undefined;
    this.#file =
      type === 'file'
        ? { ...common, crc32c: 0, slices: [] }
        : { ...common, ...(target === undefined ? {} : { target }) };
    const into = tree === undefined ? this.trees.at(-1) : this.trees.find((candidate) => candidate.id === tree);
    into?.files.push(this.#file);
  }

  /** Copies the bytes: the caller may reuse them. */
  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      this.#buffer ??= this.#begin();
      const next = Math.min(at + this.#buffer.length - this.#used, bytes.length);
      const piece = at === 0 && next === bytes.length ? bytes : bytes.subarray(at, next);
      copyIntoShared(piece, this.#buffer, this.#used);
      this.#note(piece);
      this.#used += next - at;
      at = next;
      if (this.#used === this.#buffer.length) this.#flush();
    }
  }

  /** The current file is complete: its length and CRC are those of its slices in a row. */
  endEntry(): void {
    const file = this.#file;
    if (!file?.slices) return;
    for (const slice of file.slices) {
      file.crc32c = crc32cCombine(file.crc32c ?? 0, slice.crc32c, slice.bytes);
      file.bytes += slice.bytes;
    }
  }

  /** Bytes that are no file's, or a piece of one that stands elsewhere: where they are. Between two entries. */
  loose(bytes: Uint8Array): FileSlice[] {
    const slices: FileSlice[] = [];
    this.#slice = undefined;
    this.#file = { path: '', type: 'file', mode: 0, mtime: '', bytes: 0, slices };
    this.add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#file = this.#slice = undefined;
    return slices;
  }

  /** What to wait for before more bytes are added; undefined when there is room. Throws what a write failed with. */
  room(): Promise<void> | undefined {
    this.#check();
    if (this.#flying.size < this.#sink.parallel) return undefined;
    return Promise.race(this.#flying).then(() => this.#check());
  }

  /** Writes the last part, waits until every part is durable, and gives them in order. */
  async finish(): Promise<PartRef[]> {
    if (this.#used > 0) this.#flush();
    await this.settle();
    this.#check();
    return this.#parts.sort((a, b) => a.number - b.number);
  }

  /** Waits for the parts in flight, whatever became of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#flying);
  }

  /** A part that is begun is written: its number is taken. */
  #begin(): Buffer {
    this.#part = this.#numbers.next();
    return this.#spare.pop() ?? sharedBuffer(this.#sink.partBytes);
  }

  #check(): void {
    if (this.#failed) throw this.#failed.error;
  }

  /** Extends the current file by bytes that now stand at the end of the part. */
  #note(bytes: Buffer): void {
    if (!this.#slice) {
      this.#slice = { part: this.#part, at: this.#used, bytes: 0, crc32c: 0 };
      this.#file?.slices?.push(this.#slice);
    }
    this.#slice.crc32c = crc32c(bytes, this.#slice.crc32c);
    this.#slice.bytes += bytes.length;
  }

  #flush(): void {
    const buffer = this.#buffer as Buffer;
    const part = buffer.subarray(0, this.#used);
    this.#buffer = undefined;
    this.#used = 0;
    this.#slice = undefined;
    const writing: Promise<void> = this.#sink
      .write(this.#part, part)
      .then(
        (ref) => void this.#parts.push(ref),
        (error: unknown) => void (this.#failed ??= { error }),
      )
      .finally(() => {
        this.#flying.delete(writing);
        this.#spare.push(buffer);
      });
    this.#flying.add(writing);
  }
}

/**
 * Memory that threads can read without a copy and that comes back: touching fresh memory for every part costs as much
 * as copying into it.
 */
function sharedBuffer(bytes: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(bytes));
}
