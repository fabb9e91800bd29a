import { once } from 'node:events';
import { createServer } from 'node:net';
import { failure } from '../../../workflows/model/failure.ts';

const LOOPBACK = '127.0.0.1';

/** Precondition when somebody listens on one of them; `ports` are by what wants them. */
export async function checkPorts(ports: Readonly<Record<string, number>>): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    const server = createServer().listen(port, LOOPBACK);
    try {
      await once(server, 'listening');
    } catch (error) {
      throw failure('Precondition', `port ${port} for ${name} is taken`, {
        place: `${LOOPBACK}:${port}`,
        expected: 'a free port',
        found: (error as NodeJS.ErrnoException).code ?? 'in use',
        hint: `see who listens: ss -ltnp 'sport = :${port}'; or: lifeboat dev --ports free`,
        cause: error,
      });
    } finally {
      server.close();
    }
  }
}
