import { isUtf8 } from 'node:buffer';
import { failure } from '../../../../workflows/model/failure.ts';

/** One member of a tar archive, as its header says. */
export interface TarEntry {
  /** Relative, without "./" in front or "/" behind; "" is the root itself. */
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
  done(): void;
}

const BLOCK_BYTES = 512;
const CHECKSUM = { at: 148, bytes: 8 };
const TYPES: Record<string, TarEntry['type']> = { '0': 'file', '\0': 'file', '2': 'symlink', '5': 'directory' };

/**
 * Reads a tar stream as PostgreSQL writes it (src/port/tar.c) in chunks cut anywhere, without holding content. That is
 * plain ustar: the server refuses names of 100 bytes and more, and numbers too large for octal come in base 256.
 * Integrity when a header does not fit its checksum or bytes follow the end; Unsupported for a member of another type.
 */
export class TarReader {
  readonly #handlers: TarHandlers;
  readonly #header = Buffer.alloc(BLOCK_BYTES);
  #headerBytes = 0;
  #contentLeft = 0;
  #paddingLeft = 0;
  #emptyBlocks = 0;
  #path = '';

  constructor(handlers: TarHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#contentLeft > 0) at = this.#content(chunk, at);
      else if (this.#paddingLeft > 0) at = this.#padding(chunk, at);
      else at = this.#collectHeader(chunk, at);
    }
  }

  /** Integrity when the archive stopped in the middle of a member. Its two closing blocks need not be there. */
  end(): void {
    if (this.#contentLeft === 0 && this.#paddingLeft === 0 && this.#headerBytes === 0) return;
    throw failure('Integrity', 'backup stream ended inside a tar member', {
      place: this.#path,
      expected: `${this.#contentLeft + this.#paddingLeft} bytes more`,
      found: 'the end of the archive',
    });
  }

  #content(chunk: Buffer, at: number): number {
    const next = Math.min(at + this.#contentLeft, chunk.length);
    this.#contentLeft -= next - at;
    this.#handlers.content(at === 0 && next === chunk.length ? chunk : chunk.subarray(at, next));
    if (this.#contentLeft === 0) this.#handlers.done();
    return next;
  }

  #padding(chunk: Buffer, at: number): number {
    const next = Math.min(at + this.#paddingLeft, chunk.length);
    this.#paddingLeft -= next - at;
    return next;
  }

  #collectHeader(chunk: Buffer, at: number): number {
    const next = Math.min(at + BLOCK_BYTES - this.#headerBytes, chunk.length);
    chunk.copy(this.#header, this.#headerBytes, at, next);
    this.#headerBytes += next - at;
    if (this.#headerBytes === BLOCK_BYTES) {
      this.#headerBytes = 0;
      this.#start();
    }
    return next;
  }

  #start(): void {
    if (this.#header.every((byte) => byte === 0)) {
      this.#emptyBlocks += 1;
      return;
    }
    if (this.#emptyBlocks > 0) throw failure('Integrity', 'backup stream goes on after the end of a tar archive');
    const entry = parseHeader(this.#header);
    this.#path = entry.path;
    this.#contentLeft = entry.bytes;
    this.#paddingLeft = (BLOCK_BYTES - (entry.bytes % BLOCK_BYTES)) % BLOCK_BYTES;
    this.#handlers.entry(entry);
    if (entry.bytes === 0) this.#handlers.done();
  }
}

function parseHeader(header: Buffer): TarEntry {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const inField = at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.bytes;
    sum += inField ? 0x20 : (header[at] as number);
  }
  const stated = number(header, CHECKSUM.at, CHECKSUM.bytes);
  if (sum !== stated)
    throw failure('Integrity', 'tar header does not fit its checksum', { expected: `${stated}`, found: `${sum}` });
  const prefix = text(header, 345, 155);
  const name = text(header, 0, 100);
  const code = String.fromCharCode(header[156] as number);
  const type = TYPES[code];
  if (!type)
    throw failure('Unsupported', `tar member ${name} is of type "${code}"`, { expected: 'file, folder or link' });
  return {
    path: (prefix === '' ? name : `${prefix}/${name}`).replace(/^(?:\.\/)+|^\.$|\/+$/g, ''),
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
  const bytes = end < 0 ? field : field.subarray(0, end);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw failure('Precondition', `data directory holds a name that is not UTF-8: ${bytes.toString('latin1')}`, {
    expected: 'names in UTF-8',
    found: bytes.toString('hex'),
    hint: 'PostgreSQL makes no such name: move that file out of the data directory',
  });
}

/** Octal digits, or base 256 when the first bit is set. */
function number(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if (((field[0] as number) & 0x80) === 0) {
    const digits = field
      .toString('latin1')
      .replace(/[\0 ]+$/, '')
      .trimStart();
    if (/^[0-7]*$/.test(digits)) return Number.parseInt(digits || '0', 8);
    throw failure('Integrity', 'tar header holds a number that is none', { expected: 'octal digits', found: digits });
  }
  return field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
}
