import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gathering } from './gather.ts';
import { gather } from './gather.ts';
import { mappedNodes, rowsOf } from './heap.ts';
import { relationFile } from './paths.ts';

const MAP = 'pg_filenode.map';
const USUAL_BLOCK_BYTES = 8192;
/** access/transam/clog.c: two bits for each transaction, in pages, 32 of them in a file. */
const XIDS_A_BYTE = 4;
const PAGES_A_FILE = 32;
const COMMITTED = 1;

/** Folder of a database and the file node of one of its catalogs; without a node it is not there. */
export interface Catalog {
  folder: string;
  node: number | undefined;
}

/** Catalogs of a point, fetched into a scratch folder as they are needed. */
export class Catalogs {
  readonly #use: Gathering;
  readonly #scratch: string;
  readonly #blockBytes: number;
  readonly #states = new Map<number, Buffer | undefined>();

  constructor(use: Gathering, scratch: string) {
    this.#use = use;
    this.#scratch = scratch;
    const { block_size: bytes } = use.reader.manifest.settings as Record<string, string | undefined>;
    this.#blockBytes = Number(bytes ?? USUAL_BLOCK_BYTES);
  }

  /** The maps of all databases, which say where their first catalogs are, and which transactions have committed. */
  fetchMaps(): Promise<void> {
    return this.#fetch((path) => path.endsWith(`/${MAP}`) || isCommitState(path));
  }

  /** The same, of what all databases share, and of one of them. */
  fetchShared(database?: number): Promise<void> {
    const own = new RegExp(`^(?:global|(?:base|pg_tblspc/.+)/${database ?? 'none'})/${MAP}$`);
    return this.#fetch((path) => own.test(path) || isCommitState(path));
  }

  async fetchAll(catalogs: readonly Catalog[]): Promise<void> {
    const wanted = new Set(catalogs.map(({ folder, node }) => `${folder}/${node}`));
    await this.#fetch((path) => {
      const file = relationFile(path);
      return file?.fork === 'main' && wanted.has(`${file.folder}/${file.node}`);
    });
  }

  async #fetch(wanted: (path: string) => boolean): Promise<void> {
    await gather(this.#use, (path) => (wanted(path) ? join(this.#scratch, path) : undefined));
  }

  /** Folders of databases, and "global". */
  async folders(): Promise<string[]> {
    const entries = await readdir(this.#scratch, { recursive: true, withFileTypes: true });
    return entries
      .filter(({ name }) => name === MAP)
      .map(({ parentPath }) => parentPath.slice(this.#scratch.length + 1));
  }

  /** File nodes that stand in the map of a folder, by oid. */
  mapped(folder: string): Map<number, number> {
    return mappedNodes(this.#read(join(folder, MAP)) ?? Buffer.alloc(0));
  }

  *rows({ folder, node }: Catalog): Iterable<Buffer> {
    if (node === undefined) return;
    for (let segment = 0; ; segment++) {
      const path = join(this.#scratch, folder, segment === 0 ? `${node}` : `${node}.${segment}`);
      const file = openIfThere(path);
      if (file === undefined) return;
      try {
        const page = Buffer.alloc(this.#blockBytes);
        while (readSync(file, page) === page.length) yield* rowsOf(page, (xid) => this.#hasCommitted(xid));
      } finally {
        closeSync(file);
      }
    }
  }

  #hasCommitted(xid: number): boolean {
    const [perPage, at] = [this.#blockBytes * XIDS_A_BYTE, Math.floor(xid / XIDS_A_BYTE)];
    const number = Math.floor(xid / (perPage * PAGES_A_FILE));
    if (!this.#states.has(number)) {
      const name = number.toString(16).toUpperCase().padStart(4, '0');
      this.#states.set(number, this.#read(join('pg_xact', name)));
    }
    const byte = this.#states.get(number)?.[at % (this.#blockBytes * PAGES_A_FILE)] ?? 0;
    return ((byte >> ((xid % XIDS_A_BYTE) * 2)) & 3) === COMMITTED;
  }

  #read(path: string): Buffer | undefined {
    const file = openIfThere(join(this.#scratch, path));
    if (file === undefined) return undefined;
    try {
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  }
}

function isCommitState(path: string): boolean {
  return /^pg_xact\/[0-9A-F]+$/.test(path);
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
