import type { FileEntry, FileSlice, FileTree, PartRef } from '../../../../workflows/model/manifest.ts';
import { isoTime } from '../../../io/clock.ts';
import { crc32c, crc32cCombine } from '../../../io/crc32c.ts';
import type { PartSink } from '../../source.ts';
import type { TarEntry } from './tar.ts';

/**
 * Packs the content of files back to back into parts, and remembers which slice of which part is which piece of which
 * file. Parts go to the sink as they fill, several at a time; `backpressure` is what the producer has to wait for.
 */
export class Packer {
  readonly parts: PartRef[] = [];
  readonly trees: FileTree[] = [];
  readonly #sink: PartSink;
  readonly #flying = new Set<Promise<void>>();
  #buffer: Buffer;
  #used = 0;
  #number = 1;
  #file: FileEntry | undefined;
  #failed: Error | undefined;

  constructor(sink: PartSink) {
    this.#sink = sink;
    this.#buffer = Buffer.allocUnsafeSlow(sink.partBytes);
  }

  startTree(id: string, location?: string): void {
    this.trees.push({ id, ...(location === undefined ? {} : { location }), files: [] });
  }

  startEntry(entry: TarEntry): void {
    const { path, type, mode, bytes, target } = entry;
    const common = { path, type, mode, bytes, mtime: isoTime(entry.mtimeMs) };
    this.#file =
      type === 'file'
        ? { ...common, crc32c: 0, slices: [] }
        : { ...common, ...(target === undefined ? {} : { target }) };
    this.trees.at(-1)?.files.push(this.#file);
  }

  /** Copies the bytes: the caller may reuse them. */
  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + this.#buffer.length - this.#used);
      piece.copy(this.#buffer, this.#used);
      this.#note(piece);
      this.#used += piece.length;
      at += piece.length;
      if (this.#used === this.#buffer.length) this.#flush();
    }
  }

  /** What to wait for before more bytes are added; undefined when there is room. */
  backpressure(): Promise<void> | undefined {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#flying.size < this.#sink.parallel) return undefined;
    return Promise.race(this.#flying).then(() => {
      if (this.#failed !== undefined) throw this.#failed;
    });
  }

  /** Writes the last part and waits until every part is durable. */
  async finish(): Promise<void> {
    if (this.#used > 0) this.#flush();
    await this.settle();
    if (this.#failed !== undefined) throw this.#failed;
    this.parts.sort((a, b) => a.number - b.number);
  }

  /** Waits for the parts in flight, whatever became of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#flying);
  }

  /** Extends the current file by bytes that stand at the current end of the part. */
  #note(piece: Buffer): void {
    const file = this.#file;
    if (!file?.slices) return;
    const last = file.slices.at(-1);
    const sum = crc32c(piece);
    file.crc32c = crc32cCombine(file.crc32c ?? 0, sum, piece.length);
    if (last && last.part === this.#number && last.at + last.bytes === this.#used) {
      last.crc32c = crc32cCombine(last.crc32c, sum, piece.length);
      last.bytes += piece.length;
    } else {
      const slice: FileSlice = { part: this.#number, at: this.#used, bytes: piece.length, crc32c: sum };
      file.slices.push(slice);
    }
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#used);
    // A short last part is copied so that its memory is its own and may move to another thread.
    const full = this.#used === this.#buffer.length;
    const part = full ? this.#buffer : copyAlone(bytes);
    this.#buffer = Buffer.allocUnsafeSlow(this.#sink.partBytes);
    this.#used = 0;
    const writing = this.#sink.write(this.#number++, part).then(
      (ref) => void this.parts.push(ref),
      (error: Error) => void (this.#failed ??= error),
    );
    const settled = writing.finally(() => this.#flying.delete(settled));
    this.#flying.add(settled);
  }
}

function copyAlone(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
