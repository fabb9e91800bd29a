import { createHash } from 'node:crypto';
import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileTree } from '../../../../workflows/model/manifest.ts';

export interface ListedFile {
  path: string;
  bytes: number;
  crc32c: number;
}

interface ManifestFile {
  Path?: string;
  'Encoded-Path'?: string;
  Size: number;
  'Checksum-Algorithm'?: string;
  Checksum?: string;
}

/** How the manifest names a file of a tree. */
export function manifestPath(tree: FileTree, file: FileEntry): string {
  return tree.id === 'base' ? file.path : `pg_tblspc/${tree.id}/${file.path}`;
}

const LONGEST_LINE = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * Reads the server's backup manifest (manual, "Backup Manifest Format") as it arrives, holding one line of it: the server
 * writes one file a line, whatever their number. Integrity when a line is none, or the manifest does not fit its checksum.
 */
export class BackupManifestReader {
  readonly #onFile: (file: ListedFile) => void;
  /** Of every line but the last one, which states it. */
  readonly #hash = createHash('sha256');
  #line: Buffer[] = [];
  #lineBytes = 0;
  #section: 'head' | 'files' | 'tail' | 'over' = 'head';

  constructor(onFile: (file: ListedFile) => void) {
    this.#onFile = onFile;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const end = chunk.indexOf(NEWLINE, at);
      const next = end < 0 ? chunk.length : end + 1;
      this.#line.push(end < 0 ? Buffer.from(chunk.subarray(at, next)) : chunk.subarray(at, next));
      this.#lineBytes += next - at;
      if (this.#lineBytes > LONGEST_LINE) throw wrong('holds a line without an end', `${this.#lineBytes} bytes`);
      if (end >= 0) this.#endLine();
      at = next;
    }
  }

  /** Integrity when the manifest is cut. */
  end(): void {
    if (this.#section !== 'over' || this.#lineBytes > 0) throw wrong('is cut', `ends in its ${this.#section}`);
  }

  #endLine(): void {
    const bytes = this.#line.length === 1 ? (this.#line[0] as Buffer) : Buffer.concat(this.#line);
    this.#line = [];
    this.#lineBytes = 0;
    const line = bytes.toString('utf8').trimEnd();
    if (this.#section === 'over') throw wrong('goes on after its checksum', line);
    const stated = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/.exec(line)?.[1];
    if (stated !== undefined) return this.#verify(stated);
    this.#hash.update(bytes);
    this.#read(line);
  }

  #read(line: string): void {
    if (this.#section === 'head') {
      if (line === '"Files": [') this.#section = 'files';
      // An empty list closes on the line that opens it.
      else if (line === '"Files": [],') this.#section = 'tail';
    } else if (this.#section === 'files') {
      if (line === '],') this.#section = 'tail';
      else this.#onFile(parseFile(line.replace(/,$/, '')));
    }
  }

  #verify(stated: string): void {
    const found = this.#hash.digest('hex');
    if (found !== stated || this.#section !== 'tail') throw wrong('does not fit its checksum', found, stated);
    this.#section = 'over';
  }
}

function parseFile(text: string): ListedFile {
  const file = parseJson(text);
  const path = file.Path ?? Buffer.from(file['Encoded-Path'] ?? '', 'hex').toString('utf8');
  if (path === '' || !Number.isSafeInteger(file.Size)) throw wrong('lists a file without a name or a size', text);
  if (file['Checksum-Algorithm'] !== 'CRC32C' || !/^[0-9a-f]{8}$/.test(file.Checksum ?? ''))
    throw wrong(`has no CRC-32C for ${path}`, text);
  // The server writes the sum's bytes as they lie in its memory: little endian on every platform we know of.
  return { path, bytes: file.Size, crc32c: Buffer.from(file.Checksum ?? '', 'hex').readUInt32LE() };
}

function parseJson(text: string): ManifestFile {
  try {
    return JSON.parse(text) as ManifestFile;
  } catch (error) {
    throw failure('Integrity', 'backup manifest of the server holds a line that is not JSON', {
      found: text.slice(0, 200),
      cause: error,
    });
  }
}

function wrong(what: string, found: string, expected?: string): Error {
  return failure('Integrity', `backup manifest of the server ${what}`, {
    found: found.slice(0, 200),
    ...(expected === undefined ? {} : { expected }),
    hint: 'run the backup again; if it repeats, check the network and the memory of both hosts',
  });
}
