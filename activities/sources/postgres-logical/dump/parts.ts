import type { FileEntry, PartRef } from '../../../../workflows/model/manifest.ts';
import { isoTime } from '../../../io/clock.ts';
import { crc32c, crc32cCombine } from '../../../io/crc32c.ts';
import { copyIntoShared } from '../../../io/memory.ts';
import type { Run } from '../../../io/run.ts';
import type { PartSink } from '../../part-sink.ts';

/**
 * Files of unknown length, several at a time, into parts: each part has bytes of one file. In memory are the part that each
 * file fills, and as many as the sink takes at once; their buffers are used again.
 */
export class Parts {
  readonly files: FileEntry[] = [];
  readonly #sink: PartSink;
  readonly #run: Run;
  readonly #refs: PartRef[] = [];
  readonly #spare: Buffer[] = [];
  readonly #flying = new Set<Promise<void>>();
  #failed: { error: unknown } | undefined;
  #doneBytes = 0;

  constructor(sink: PartSink, run: Run) {
    this.#sink = sink;
    this.#run = run;
  }

  /** Takes a stream to its end; it is a file only when the stream ended well. */
  async write(path: string, from: AsyncIterable<Buffer>): Promise<void> {
    const file: Required<Pick<FileEntry, 'slices' | 'crc32c'>> & FileEntry = {
      ...{ path, type: 'file', mode: 0o600, mtime: isoTime(this.#run.clock.nowMs()) },
      ...{ bytes: 0, crc32c: 0, slices: [] },
    };
    let filling: { buffer: Buffer; used: number; crc: number } | undefined;
    const flush = async (): Promise<void> => {
      if (!filling) return;
      const { buffer, used, crc } = filling;
      filling = undefined;
      const part = await this.#store(buffer, used);
      file.slices.push({ part, at: 0, bytes: used, crc32c: crc });
      file.crc32c = crc32cCombine(file.crc32c, crc, used);
      file.bytes += used;
    };
    for await (const bytes of from) {
      for (let at = 0; at < bytes.length;) {
        filling ??= { buffer: this.#buffer(), used: 0, crc: 0 };
        const piece = bytes.subarray(at, at + filling.buffer.length - filling.used);
        copyIntoShared(piece, filling.buffer, filling.used);
        filling.crc = crc32c(piece, filling.crc);
        filling.used += piece.length;
        at += piece.length;
        if (filling.used === filling.buffer.length) await flush();
      }
    }
    await flush();
    this.files.push(file);
  }

  /** Every part, in order, when all of them are durable. */
  async finish(): Promise<PartRef[]> {
    await this.settle();
    if (this.#failed) throw this.#failed.error;
    return this.#refs.sort((a, b) => a.number - b.number);
  }

  /** Waits for the parts in flight, whatever became of them. */
  async settle(): Promise<void> {
    while (this.#flying.size > 0) await Promise.all(this.#flying);
  }

  #number = 0;

  #buffer(): Buffer {
    return this.#spare.pop() ?? Buffer.from(new SharedArrayBuffer(this.#sink.partBytes));
  }

  /** Hands a part over, when the sink takes one; returns its number. */
  async #store(buffer: Buffer, used: number): Promise<number> {
    while (this.#flying.size >= this.#sink.parallel) await Promise.race(this.#flying);
    if (this.#failed) throw this.#failed.error;
    const number = ++this.#number;
    const writing: Promise<void> = this.#sink
      .write(number, buffer.subarray(0, used))
      .then(
        (ref) => {
          this.#refs.push(ref);
          this.#doneBytes += used;
          this.#run.progress({ phase: 'dump', doneBytes: this.#doneBytes });
        },
        (error: unknown) => void (this.#failed ??= { error }),
      )
      .finally(() => {
        this.#flying.delete(writing);
        this.#spare.push(buffer);
      });
    this.#flying.add(writing);
    return number;
  }
}
