import type { Writable } from 'node:stream';

/** Writes pieces into a program's input or a file, as fast as that takes them. Whoever reads may be gone, which its exit explains. */
export async function writeAll(from: AsyncIterable<Buffer>, to: Writable): Promise<void> {
  for await (const bytes of from) {
    if (to.destroyed || to.closed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        to.off('close', done);
        resolve();
      };
      to.once('close', done);
      to.write(bytes, done);
    });
  }
}
