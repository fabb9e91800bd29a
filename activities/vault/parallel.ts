/** Runs `work` over all items, a few at a time; the first failure stops the rest and is thrown when all have stopped. */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  parallel: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const flying = new Set<Promise<void>>();
  let failed: { error: unknown } | undefined;
  const start = (item: T): void => {
    const running = work(item)
      .catch((error: unknown) => void (failed ??= { error }))
      .finally(() => flying.delete(running));
    flying.add(running);
  };
  try {
    for await (const item of items) {
      if (failed) break;
      start(item);
      if (flying.size >= parallel) await Promise.race(flying);
    }
  } finally {
    await Promise.all(flying);
  }
  if (failed) throw failed.error;
}
