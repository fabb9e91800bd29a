/** Bodies up to this go in one request; larger ones in parts of this size. S3 takes 5 MiB to 5 GiB, at most 10,000 parts. */
export const BLOCK_BYTES = 8 * 1024 * 1024;

/** Regroups chunks into blocks of BLOCK_BYTES, without a copy where a chunk fills one; only the last may be shorter. */
export async function* inBlocks(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const piece = view(chunk, at, Math.min(chunk.length - at, BLOCK_BYTES - heldBytes));
      held.push(piece);
      heldBytes += piece.length;
      at += piece.length;
      if (heldBytes < BLOCK_BYTES) continue;
      yield joined(held);
      held = [];
      heldBytes = 0;
    }
  }
  if (heldBytes > 0) yield joined(held);
}

export interface Split {
  /** The whole body when it is one block or less. */
  single: Buffer | undefined;
  /** All blocks; closing it closes the body. */
  blocks: AsyncIterable<Buffer>;
}

/** Reads two blocks ahead to learn whether there is a second one. */
export async function splitBody(chunks: AsyncIterable<Uint8Array>): Promise<Split> {
  const iterator = inBlocks(chunks)[Symbol.asyncIterator]();
  const first = await iterator.next();
  const second = first.done ? first : await iterator.next();
  if (first.done) return { single: Buffer.alloc(0), blocks: none() };
  if (second.done) return { single: first.value, blocks: none() };
  return { single: undefined, blocks: rejoined([first.value, second.value], iterator) };
}

async function* none(): AsyncIterable<Buffer> {}

async function* rejoined(ahead: Buffer[], rest: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  try {
    for (let block = ahead.shift(); block; block = ahead.shift()) yield block;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function view(bytes: Uint8Array, at: number, length: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
}

function joined(pieces: Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only ? only : Buffer.concat(pieces);
}
