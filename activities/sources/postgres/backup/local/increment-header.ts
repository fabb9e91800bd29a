const MAGIC = 0xd3ae1f0d;
const WORD_BYTES = 4;

/**
 * The head of a file of changed blocks, as PostgreSQL 17 and newer write it (docs/format.md "Increments"): what the file must
 * be cut to, and which blocks follow, ascending.
 */
export function incrementHeader(blocks: readonly number[], lengthBlocks: number, blockBytes: number): Buffer {
  const plain = (3 + blocks.length) * WORD_BYTES;
  const header = Buffer.alloc(blocks.length === 0 ? plain : Math.ceil(plain / blockBytes) * blockBytes);
  [MAGIC, blocks.length, lengthBlocks, ...blocks].forEach((word, index) =>
    header.writeUInt32LE(word, index * WORD_BYTES),
  );
  return header;
}

/** "base/5/INCREMENTAL.16384": the name of the changed blocks of base/5/16384. */
export function incrementPath(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  return `${path.slice(0, at)}INCREMENTAL.${path.slice(at)}`;
}
