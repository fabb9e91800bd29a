import { failure } from '../../../../../workflows/model/failure.ts';
import type { FileSlice, Manifest } from '../../../../../workflows/model/manifest.ts';
import { crc32c } from '../../../../io/crc32c.ts';
import { release } from '../../../../io/memory.ts';
import type { PointReader } from '../../../source.ts';
import { changedFile, fileKey } from '../../recovery/changed-file.ts';

/** Parts of sums held at once: files come in the order in which their sums were written. */
const MOST_PARTS = 2;

/** The sums that a point keeps of the pages of the cluster, file by file. */
export class ParentSums {
  readonly #reader: PointReader;
  readonly #slices: Map<string, FileSlice[]>;
  readonly #held = new Map<number, Buffer>();

  constructor(reader: PointReader) {
    this.#reader = reader;
    this.#slices = slicesOf(reader.manifest);
  }

  /** Undefined for a file that the parent did not have, or not as whole pages. Integrity when they are not what it says. */
  async of(tree: string, path: string): Promise<Uint8Array | undefined> {
    const slices = this.#slices.get(fileKey({ id: tree }, path));
    if (!slices) return undefined;
    const sums = new Uint8Array(slices.reduce((sum, { bytes }) => sum + bytes, 0));
    let at = 0;
    for (const slice of slices) {
      const bytes = (await this.#part(slice.part)).subarray(slice.at, slice.at + slice.bytes);
      this.#check(slice, bytes);
      sums.set(bytes, at);
      at += slice.bytes;
    }
    return sums;
  }

  /** Reads all of them once. Integrity, NotFound: the parent is of no use. */
  async check(): Promise<void> {
    for (const slices of this.#slices.values())
      for (const slice of slices)
        this.#check(slice, (await this.#part(slice.part)).subarray(slice.at, slice.at + slice.bytes));
  }

  async #part(number: number): Promise<Buffer> {
    const held = this.#held.get(number);
    if (held) return held;
    const { manifest } = this.#reader;
    const part = manifest.parts.find((each) => each.number === number);
    if (!part) throw failure('Bug', `part ${number} of ${manifest.point} is not listed`);
    const plaintext = await this.#reader.readPart(part);
    const [oldest] = this.#held.keys();
    if (this.#held.size >= MOST_PARTS && oldest !== undefined) this.#drop(oldest);
    this.#held.set(number, plaintext);
    return plaintext;
  }

  #drop(number: number): void {
    const plaintext = this.#held.get(number);
    this.#held.delete(number);
    if (plaintext) release(plaintext);
  }

  #check({ part, at, bytes, crc32c: expected }: FileSlice, found: Buffer): void {
    const sum = crc32c(found);
    if (sum === expected) return;
    throw failure('Integrity', `block sums of ${this.#reader.manifest.point} are not what the manifest says`, {
      place: `part ${part}, bytes ${at} to ${at + bytes}`,
      expected: `CRC-32C ${expected.toString(16)}`,
      found: `CRC-32C ${sum.toString(16)}`,
    });
  }
}

function slicesOf({ trees }: Manifest): Map<string, FileSlice[]> {
  const found = new Map<string, FileSlice[]>();
  for (const tree of trees) {
    for (const file of tree.files) {
      if (file.sums) found.set(fileKey(tree, changedFile(tree, file) ?? file.path), file.sums);
    }
  }
  return found;
}
