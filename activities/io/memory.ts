/** Memory behind decoded bytes that holds nothing: with room for it, the decoder needs no second buffer. */
export const SPARE_BYTES = 1;

/**
 * Gives the memory of bytes back now: waiting for the garbage collector keeps many times as much, and costs a collection
 * for every few parts. The bytes are gone for everybody; what shares its memory with others is left alone, but for
 * `spareBytes` that nobody uses.
 */
export function release(bytes: Uint8Array, spareBytes = 0): void {
  if (ownsMemory(bytes, spareBytes)) bytes.buffer.transfer(0);
}

/** Bytes that are alone in unshared memory, but for `spareBytes` that nobody uses: it may move to a thread. */
export function ownsMemory(bytes: Uint8Array, spareBytes = 0): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength - bytes.byteLength <= spareBytes;
}

/**
 * Copies into memory that threads share. `set` of a typed array must not tear words there, and V8 copies by bytes where source and
 * target do not stand alike to a word's boundary, which bytes off a wire seldom do. Buffer.copy of a part of a buffer is memmove,
 * in an eighth of the time; of a whole one it is `set`: so the last byte goes by itself.
 */
export function copyIntoShared(source: Uint8Array, target: Buffer, at: number): void {
  const bytes = Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  const last = bytes.length - 1;
  if (last < 0) return;
  bytes.copy(target, at, 0, last);
  target[at + last] = bytes[last] as number;
}
