import { hostname } from 'node:os';

/** What the client takes from the process it runs in; tests give their own. */
export interface Host {
  readonly stdout: Writer;
  readonly stderr: Writer;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  /** Aborted by the first Ctrl-C. */
  readonly interrupted: AbortSignal;
  nowMs(): number;
}

export interface Writer {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The real one. The second Ctrl-C ends the process at once; a reader that went away (`| head`) is no error. */
export function processHost(): Host {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', unlessClosed);
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    hostname: hostname(),
    interrupted: interrupt.signal,
    nowMs: () => Date.now(),
  };
}

function unlessClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
