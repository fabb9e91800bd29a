import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A wire that can be cut: a server behind it is away without being ended. */
export interface TcpProxy extends AsyncDisposable {
  /** host:port */
  address: string;
  /** Ends every connection; new ones are refused. */
  cut(): void;
  mend(): void;
  /** New connections go to another server, as behind a balancer. */
  lead(target: string): void;
}

/** `near`: the address that it listens at. */
export async function startTcpProxy(target: string, near = '127.0.0.1'): Promise<TcpProxy> {
  let to = target;
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const [host = '', port = ''] = to.split(':');
    const far = connect(Number(port), host);
    for (const [socket, other] of [
      [client, far],
      [far, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, near);
  await once(server, 'listening');
  const end = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    address: `${near}:${(server.address() as { port: number }).port}`,
    cut: () => {
      isCut = true;
      end();
    },
    mend: () => {
      isCut = false;
    },
    lead: (other) => {
      to = other;
    },
    [Symbol.asyncDispose]: async () => {
      end();
      server.close();
      await once(server, 'close');
    },
  };
}
