import { once } from 'node:events';
import { chmod, lstat, rename, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { translateFileError } from './file-failure.ts';

/** Shorter than the silence after which a helper gives up. */
const WAIT_EVERY_MS = 5_000;
const LONGEST_REQUEST = 8192;
/** Whoever says nothing and takes nothing for so long is not there any more, and holds what it was to get. */
const SILENT_MS = 60_000;

export interface Serving {
  /** Absolute path of a unix socket. */
  socket: string;
  /** Permission bits of the socket. */
  mode: number;
  /** The answer to one line, with what follows it; it does not fail. */
  answer(request: string): Promise<Reply>;
}

export interface Reply {
  line: string;
  body?: Buffer;
  /** Called once, when the connection is over, however it ended. */
  sent?: () => void;
}

export interface LineServer {
  /** Ends every connection; who waits for an answer sees that there is none. */
  close(): Promise<void>;
}

/**
 * Takes requests of a helper, one line on a connection of its own; answers one line, and "wait" now and then before. The socket
 * appears with its permissions, in the place of one that a dead worker left.
 */
export async function serveLines({ socket, mode, answer }: Serving): Promise<LineServer> {
  const sockets = new Set<Socket>();
  const server = createServer((connection) => {
    sockets.add(connection);
    connection.on('close', () => sockets.delete(connection));
    connection.on('error', () => connection.destroy());
    connection.setTimeout(SILENT_MS, () => connection.destroy());
    serve(connection, answer);
  });
  const inode = await open(server, socket, mode);
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      // What is decided by now is still said.
      await new Promise((next) => setImmediate(next));
      for (const connection of sockets) connection.destroy();
      await closed;
      // Another worker of this host may have put its own there.
      if ((await inodeOf(socket)) === inode) await rm(socket, { force: true });
    },
  };
}

async function open(server: Server, socket: string, mode: number): Promise<number | undefined> {
  const staged = `${socket}.new`;
  return translateFileError(socket, async () => {
    await rm(staged, { force: true });
    server.listen(staged);
    await once(server, 'listening');
    await chmod(staged, mode);
    const inode = await inodeOf(staged);
    await rename(staged, socket);
    return inode;
  });
}

async function inodeOf(path: string): Promise<number | undefined> {
  return lstat(path).then(
    ({ ino }) => ino,
    () => undefined,
  );
}

function serve(connection: Socket, answer: Serving['answer']): void {
  let said = '';
  connection.setEncoding('utf8');
  connection.on('data', (text: string) => {
    const isAnswered = said.includes('\n');
    said = `${said}${text}`.slice(0, LONGEST_REQUEST);
    if (isAnswered) return;
    const end = said.indexOf('\n');
    if (end >= 0) void reply(connection, answer(said.slice(0, end)));
    else if (said.length >= LONGEST_REQUEST) connection.destroy();
  });
}

async function reply(connection: Socket, answering: Promise<Reply>): Promise<void> {
  const waiting = setInterval(() => connection.write('wait\n'), WAIT_EVERY_MS);
  try {
    const { line, body, sent } = await answering;
    clearInterval(waiting);
    if (sent && connection.closed) sent();
    else if (sent) connection.once('close', sent);
    connection.write(`${line}\n`);
    if (body) connection.write(body);
    connection.end();
  } finally {
    clearInterval(waiting);
  }
}
