import type { ExitName } from './exit-codes.ts';

/** Ends a command for a reason that is no failure: a wrong command line, Ctrl-C. */
export class Stop extends Error {
  readonly exit: Extract<ExitName, 'Usage' | 'Interrupted'>;
  readonly hint: string | undefined;
  readonly data: Record<string, unknown>;

  constructor(
    exit: Extract<ExitName, 'Usage' | 'Interrupted'>,
    message: string,
    more: { hint?: string; data?: Record<string, unknown> } = {},
  ) {
    super(message);
    this.exit = exit;
    this.hint = more.hint;
    this.data = more.data ?? {};
  }
}

/** Waits for `work`, but not longer than until Ctrl-C. The work itself is left to end alone. */
export async function unlessInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    throw interrupted();
  }
  let stop = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(interrupted());
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function interrupted(): Stop {
  return new Stop('Interrupted', 'interrupted');
}
