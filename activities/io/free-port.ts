import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below what Linux gives to outgoing connections (ip_local_port_range): one of those would take a port between our look and its use. */
const RANGE = { from: 20_000, to: 32_000 };
const TRIES = 100;

/** A TCP port on loopback that nobody listens on now. Whoever takes it may still find it taken: they check again. */
export async function freePort(): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = randomInt(RANGE.from, RANGE.to);
    try {
      await bound(port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === TRIES) throw error;
    }
  }
}

function bound(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}
