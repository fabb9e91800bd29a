const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborted when this process is asked to end, or when the one that started it (workers/dev/bootstrap.mjs) died. The
 * second request ends the process at once.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = (reason: string): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Error(`interrupted (${reason})`));
  };
  for (const signal of SIGNALS) process.on(signal, () => stop(signal));
  if (process.channel) {
    process.once('disconnect', () => stop('nobody waits any more'));
    // Listening must not keep a finished task alive.
    process.channel.unref();
  }
  return controller.signal;
}
