import type { BodyReader } from '../body.ts';

/** Bodies up to this go in one request; larger ones in parts of this size. S3 takes 5 MiB to 5 GiB, at most 10,000 parts. */
const BLOCK_BYTES = 8 * 1024 * 1024;

/** Regroups chunks into blocks of BLOCK_BYTES, without a copy where one chunk fills one; only the last may be shorter. */
export async function* inBlocks(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  let block: Buffer | undefined;
  let used = 0;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (!block && chunk.length - at >= BLOCK_BYTES) {
        yield view(chunk, at, BLOCK_BYTES);
        at += BLOCK_BYTES;
        continue;
      }
      block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const taken = view(chunk, at, Math.min(chunk.length - at, BLOCK_BYTES - used)).copy(block, used);
      used += taken;
      at += taken;
      if (used < BLOCK_BYTES) continue;
      yield block;
      block = undefined;
      used = 0;
    }
  }
  if (block) yield block.subarray(0, used);
}

export interface Split {
  /** The whole body when it is one block or less. */
  single: Buffer | undefined;
  /** All blocks otherwise; closing it closes the body. */
  blocks: AsyncIterable<Buffer>;
}

/** Reads ahead until it is known whether there is a second block; bytes that are there already are sent from where they are. */
export async function splitBody(body: BodyReader): Promise<Split> {
  const { whole } = body;
  const chunks = body.chunks();
  if (whole && whole.length <= BLOCK_BYTES) return { single: view(whole, 0, whole.length), blocks: inBlocks(chunks) };
  const iterator = inBlocks(chunks)[Symbol.asyncIterator]();
  const ahead: Buffer[] = [];
  while (ahead.length < 2) {
    const next = await iterator.next();
    if (next.done) return { single: ahead[0] ?? Buffer.alloc(0), blocks: rejoined([], iterator) };
    ahead.push(next.value);
  }
  return { single: undefined, blocks: rejoined(ahead, iterator) };
}

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
