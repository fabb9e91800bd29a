import { once } from 'node:events';
import { chmod, rename, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { findFailure } from '../../../../../workflows/model/failure.ts';
import { translateFileError } from '../../../../io/file-failure.ts';

/** Shorter than the silence after which the helper gives up. */
const WAIT_EVERY_MS = 5_000;
const LONGEST_REQUEST = 8192;

export interface Listening {
  socket: string;
  /** Permission bits of the socket. */
  mode: number;
  push(path: string): Promise<void>;
}

export interface Listener {
  /** Ends every connection; who waits for an answer sees that there is none. */
  close(): Promise<void>;
}

/**
 * Takes requests of the helper, "push PATH", one line on a connection of its own; answers "ok" or "no REASON", and "wait"
 * now and then before. The socket appears with its permissions, in the place of one that a dead worker left.
 */
export async function listen({ socket, mode, push }: Listening): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((connection) => {
    sockets.add(connection);
    connection.on('close', () => sockets.delete(connection));
    connection.on('error', () => connection.destroy());
    serve(connection, push);
  });
  await open(server, socket, mode);
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const connection of sockets) connection.destroy();
      await closed;
      await rm(socket, { force: true });
    },
  };
}

async function open(server: Server, socket: string, mode: number): Promise<void> {
  const staged = `${socket}.new`;
  await translateFileError(socket, async () => {
    await rm(staged, { force: true });
    server.listen(staged);
    await once(server, 'listening');
    await chmod(staged, mode);
    await rename(staged, socket);
  });
}

function serve(connection: Socket, push: Listening['push']): void {
  let said = '';
  connection.setEncoding('utf8');
  connection.on('data', (text: string) => {
    const isAnswered = said.includes('\n');
    said = `${said}${text}`.slice(0, LONGEST_REQUEST);
    if (isAnswered) return;
    const end = said.indexOf('\n');
    if (end >= 0) void answer(connection, said.slice(0, end), push);
    else if (said.length >= LONGEST_REQUEST) connection.destroy();
  });
}

async function answer(connection: Socket, request: string, push: Listening['push']): Promise<void> {
  const waiting = setInterval(() => connection.write('wait\n'), WAIT_EVERY_MS);
  try {
    const path = /^push (\/.+)$/.exec(request)?.[1];
    if (path === undefined)
      throw new Error(`request "${request.slice(0, 100)}" is not understood: is the helper of this version?`);
    await push(path);
    connection.end('ok\n');
  } catch (error) {
    const message = findFailure(error)?.message ?? (error instanceof Error ? error.message : String(error));
    connection.end(`no ${message.replaceAll(/\s+/g, ' ').trim() || 'without a reason'}\n`);
  } finally {
    clearInterval(waiting);
  }
}
