import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { SwitchFault } from './switch-contract.ts';

/** A wire to the console of a pooler on which something goes wrong at the next command that contains a word. */
export interface ConsoleFaults extends AsyncDisposable {
  port: number;
  /** `cut`: the command does not arrive. */
  fail(fault: SwitchFault | 'cut', word?: string): void;
}

export async function startConsoleFaults(target: number): Promise<ConsoleFaults> {
  let armed: { fault: SwitchFault | 'cut'; word: string } | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (armed?.fault === 'busy') {
      armed = undefined;
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    let fault: SwitchFault | 'cut' | undefined;
    near.on('data', (bytes) => {
      if (armed && bytes.includes(armed.word)) {
        ({ fault } = armed);
        armed = undefined;
      }
      if (fault === 'cut') near.destroy();
      else far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (fault === 'lost') near.destroy();
      // A message of a kind that there is not.
      else if (fault === 'garbage') near.write(Buffer.from('?\0\0\0\x08nope', 'latin1'));
      else if (fault === undefined) near.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    fail: (fault, word = 'RESUME') => (armed = { fault, word }),
    [Symbol.asyncDispose]: async () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}
