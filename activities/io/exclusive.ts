import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import type { Run } from './run.ts';

const LOOK_MS = 100;

/**
 * Runs `work` while this call alone, of all on this host, holds the name of a place. While another has it (an earlier
 * attempt that has not heard yet that it is over, or whose process is stopped) it waits, and says so. The kernel takes the
 * hold back when its process dies, however it dies (unix(7), abstract sockets): nothing is ever left to clean up.
 */
export async function exclusively<T>(place: string, run: Run, work: () => Promise<T>): Promise<T> {
  const tag = createHash('sha256').update(place).digest('hex').slice(0, 32);
  const hold = await holdOf(`\0lifeboat-${tag}`, place, run);
  try {
    return await work();
  } finally {
    hold.close();
    await once(hold, 'close');
  }
}

async function holdOf(name: string, place: string, run: Run): Promise<Server> {
  for (;;) {
    run.signal.throwIfAborted();
    const hold = createServer();
    try {
      hold.listen(name);
      await once(hold, 'listening');
      return hold;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    run.progress({ phase: 'waiting for an earlier attempt', note: `another process on this host still has ${place}` });
    await run.clock.sleep(LOOK_MS, run.signal);
  }
}
