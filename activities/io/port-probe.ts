import { connect } from 'node:net';
import { failure } from '../../workflows/model/failure.ts';
import type { Run } from './run.ts';

/** What a port does: takes a connection, says that nobody listens, or says nothing at all. */
export type PortAnswer = 'open' | 'refused' | 'silent';

export interface PortQuestion {
  /** Host name, address, or the folder of a Unix socket of PostgreSQL. */
  host: string;
  port: number;
  withinMs: number;
}

/** Errors that come from what stands there, and not from the way to it. */
const REFUSALS = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET']);

/** Opens a connection and closes it. An answer in every case; only the run's signal throws. */
export function askPort({ host, port, withinMs }: PortQuestion, { signal }: Pick<Run, 'signal'>): Promise<PortAnswer> {
  return new Promise((resolve, reject) => {
    const local = host.startsWith('/');
    const socket = connect(local ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    const end = (answer: PortAnswer | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (answer) resolve(answer);
      else reject((signal.reason as Error | undefined) ?? failure('Bug', 'a probe ended without an answer'));
    };
    const onAbort = (): void => end(undefined);
    const timer = setTimeout(() => end('silent'), withinMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => end('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(REFUSALS.has(error.code ?? '') ? 'refused' : 'silent'));
    if (signal.aborted) onAbort();
  });
}
