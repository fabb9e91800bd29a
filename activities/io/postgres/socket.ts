import { Socket } from 'node:net';

/** One read takes up to this much: large enough to be cheap, small enough to stay in the processor's cache. */
const READ_BYTES = 256 * 1024;

/**
 * A socket that reads into one buffer, again and again, instead of allocating one for every read. Until somebody takes it
 * over, each read is copied into a buffer of its own and emitted as `data`, as any socket does.
 */
export class ReusingSocket extends Socket {
  #onBytes: ((bytes: Buffer) => void) | undefined;

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    super({
      onread: {
        buffer,
        callback: (count: number) => {
          const bytes = buffer.subarray(0, count);
          if (this.#onBytes) this.#onBytes(bytes);
          else this.emit('data', Buffer.from(bytes));
          return true;
        },
      },
    });
  }

  /** From now on reads go to `onBytes` alone; the bytes are valid until it returns, or as long as the socket is paused. */
  takeOver(onBytes: (bytes: Buffer) => void): void {
    this.#onBytes = onBytes;
  }
}
