import { PAGE_CHECKSUM_CODE } from './page-checksum-code.ts';

interface Code {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  newest: { value: bigint };
  check(page: number, pages: number, block: number, pageBytes: number, since: bigint, out: number): number;
}

/** The part of the standard that is used here; it is in no library of types for programs without a browser. */
const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: {
    Module: new (code: Uint8Array) => object;
    Instance: new (module: object) => { exports: unknown };
  };
};

const WASM_PAGE_BYTES = 64 * 1024;
const WORD_BYTES = 4;

/**
 * Memory for the bytes of a part, in which page checksums are checked where they stand (manual 28.2 "Data Checksums"). One for
 * each thread: it grows and is never given back.
 */
export class PageMemory {
  readonly #code: Code;
  #bytes = new Uint8Array();
  #capacity = 0;
  #listed = 0;

  constructor() {
    const module = new wasm.Module(Buffer.from(PAGE_CHECKSUM_CODE, 'base64'));
    this.#code = new wasm.Instance(module).exports as Code;
  }

  /** At least so many bytes; what was there before is gone. */
  ofAtLeast(bytes: number, pageBytes: number): Uint8Array {
    const listBytes = Math.ceil((bytes / pageBytes) * WORD_BYTES);
    if (bytes > this.#capacity || listBytes > this.#listed) {
      const { memory } = this.#code;
      this.#listed = roundUp(listBytes);
      this.#capacity = roundUp(bytes);
      const wanted = this.#listed + this.#capacity;
      const missing = wanted - memory.buffer.byteLength;
      if (missing > 0) memory.grow(missing / WASM_PAGE_BYTES);
      this.#bytes = new Uint8Array(memory.buffer, this.#listed, this.#capacity);
    }
    return this.#bytes;
  }

  /**
   * Numbers of the pages among `pages` at offset `at` whose checksum is wrong, the first being number `block` of its relation.
   * Pages with an LSN from `since` on may be half written: replay writes them anew, and they are passed over.
   */
  wrongPages({ at, pages, block, pageBytes }: PageRange, since: bigint): number[] {
    const found = this.#code.check(this.#listed + at, pages, block, pageBytes, since, 0);
    return found === 0 ? [] : [...new Uint32Array(this.#code.memory.buffer, 0, found)];
  }

  /** Highest LSN of a page that was passed over since the last call; 0 when none was. */
  takeNewest(): bigint {
    const newest = BigInt.asUintN(64, this.#code.newest.value);
    this.#code.newest.value = 0n;
    return newest;
  }
}

export interface PageRange {
  at: number;
  pages: number;
  block: number;
  pageBytes: number;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
}
