import { failure } from '../../../../workflows/model/failure.ts';

/** One member of a tar archive, as its header says. */
export interface TarEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink';
  bytes: number;
  mode: number;
  mtimeMs: number;
  target?: string;
}

export interface TarHandlers {
  entry(entry: TarEntry): void;
  /** Content of the last entry, in order, as views of the chunk that was pushed. */
  content(bytes: Buffer): void;
  /** The last entry's content is complete. */
  done(entry: TarEntry): void;
}

const BLOCK = 512;
const TYPES: Record<string, TarEntry['type']> = { '0': 'file', '\0': 'file', '2': 'symlink', '5': 'directory' };

/**
 * Reads a POSIX ustar stream as PostgreSQL writes it (src/port/tar.c), in chunks cut anywhere, without holding content.
 * PostgreSQL uses no extended headers; numbers too large for octal come in base 256.
 */
export class TarReader {
  readonly #handlers: TarHandlers;
  #header = Buffer.alloc(0);
  #entry: TarEntry | undefined;
  #contentLeft = 0;
  #paddingLeft = 0;

  constructor(handlers: TarHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at += this.#step(chunk.subarray(at));
  }

  /** Integrity when the archive stopped in the middle of a member. */
  end(): void {
    if (this.#entry || this.#contentLeft > 0 || this.#header.length > 0) {
      throw failure('Integrity', 'backup stream ended inside a tar member', {
        found: this.#entry?.path ?? 'a cut header',
      });
    }
  }

  /** Consumes the start of `rest` and says how much of it. */
  #step(rest: Buffer): number {
    if (this.#contentLeft > 0) {
      const take = Math.min(this.#contentLeft, rest.length);
      this.#handlers.content(rest.subarray(0, take));
      this.#contentLeft -= take;
      this.#finishIfComplete();
      return take;
    }
    if (this.#paddingLeft > 0) {
      const take = Math.min(this.#paddingLeft, rest.length);
      this.#paddingLeft -= take;
      return take;
    }
    const take = Math.min(BLOCK - this.#header.length, rest.length);
    this.#header = Buffer.concat([this.#header, rest.subarray(0, take)]);
    if (this.#header.length === BLOCK) this.#start();
    return take;
  }

  #start(): void {
    const header = this.#header;
    this.#header = Buffer.alloc(0);
    // Two empty blocks end an archive.
    if (header.every((byte) => byte === 0)) return;
    const entry = parseHeader(header);
    this.#entry = entry;
    this.#contentLeft = entry.bytes;
    this.#paddingLeft = (BLOCK - (entry.bytes % BLOCK)) % BLOCK;
    this.#handlers.entry(entry);
    this.#finishIfComplete();
  }

  #finishIfComplete(): void {
    if (this.#contentLeft > 0 || !this.#entry) return;
    const entry = this.#entry;
    this.#entry = undefined;
    this.#handlers.done(entry);
  }
}

function parseHeader(header: Buffer): TarEntry {
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  if (sum !== number(header, 148, 8))
    throw failure('Integrity', 'backup stream holds a tar header whose checksum is wrong');
  const prefix = text(header, 345, 155);
  const name = text(header, 0, 100);
  const code = String.fromCharCode(header[156] ?? 0);
  const type = TYPES[code];
  if (!type) throw failure('Unsupported', `backup stream holds a tar member of type "${code}"`, { found: name });
  const path = (prefix === '' ? name : `${prefix}/${name}`).replace(/^\.\//, '').replace(/\/$/, '');
  return {
    path,
    type,
    bytes: type === 'file' ? number(header, 124, 12) : 0,
    mode: number(header, 100, 8) & 0o7777,
    mtimeMs: number(header, 136, 12) * 1000,
    ...(type === 'symlink' ? { target: text(header, 157, 100) } : {}),
  };
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

/** Octal digits, or base 256 when the first bit is set. */
function number(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) === 0) return Number.parseInt(text(header, at, length).trim() || '0', 8);
  return field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
}
