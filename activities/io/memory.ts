/**
 * Gives the memory of bytes back now: waiting for the garbage collector keeps many times as much, and costs a collection
 * for every few parts. The bytes are gone for everybody; what shares its memory with others is left alone.
 */
export function release(bytes: Uint8Array): void {
  if (ownsMemory(bytes)) bytes.buffer.transfer(0);
}

/** Bytes that are alone in unshared memory, but for `spareBytes` that nobody uses: it may move to a thread. */
export function ownsMemory(bytes: Uint8Array, spareBytes = 0): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength - bytes.byteLength <= spareBytes;
}
