import type { LineServer, Reply } from '../../../../io/line-server.ts';
import { serveLines } from '../../../../io/line-server.ts';
import { reasonLine } from '../../../../io/one-line.ts';

export interface Listening {
  socket: string;
  /** Permission bits of the socket. */
  mode: number;
  push(path: string): Promise<void>;
}

/** Takes requests of the helper, "push PATH"; answers "ok" or "no REASON". */
export function listen({ socket, mode, push }: Listening): Promise<LineServer> {
  return serveLines({ socket, mode, answer: (request) => answer(request, push) });
}

async function answer(request: string, push: Listening['push']): Promise<Reply> {
  try {
    const path = /^push (\/.+)$/.exec(request)?.[1];
    if (path === undefined)
      throw new Error(`request "${request.slice(0, 100)}" is not understood: is the helper of this version?`);
    await push(path);
    return { line: 'ok' };
  } catch (error) {
    return { line: `no ${reasonLine(error)}` };
  }
}
