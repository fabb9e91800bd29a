import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from '../../../activities/io/postgres/server.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { childrenOf } from './processes.ts';
import { until } from './until.ts';

/** How a server ends: as an operator stops it, as its own crash handler does, or as the out-of-memory killer does. */
export const ENDINGS = ['fast', 'immediate', 'kill'] as const;
export type Ending = (typeof ENDINGS)[number];

export const SETTINGS: Readonly<Record<string, string>> = {
  ...{ max_wal_senders: '10', max_replication_slots: '10', max_prepared_transactions: '20', shared_buffers: '32MB' },
  // Small enough that segments which nobody keeps are gone soon.
  ...{ full_page_writes: 'on', wal_keep_size: '0', max_wal_size: '64MB', min_wal_size: '32MB' },
};

/** Ends the server and starts it again; resolves when it takes connections. */
export async function restartServer(server: TestPostgres, ending: Ending, signal: AbortSignal): Promise<void> {
  if (ending === 'kill') await killServer(server, signal);
  else await server.stop(ending);
  await server.start();
}

async function killServer({ dataDir }: TestPostgres, signal: AbortSignal): Promise<void> {
  const file = join(dataDir, 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8')).split('\n')[0]);
  const family = [pid, ...(await childrenOf(pid))];
  process.kill(pid, 'SIGKILL');
  // A new server is refused for as long as one of them holds the shared memory.
  const gone = async (): Promise<true | undefined> => (family.some((each) => isAlive(each)) ? undefined : true);
  await until(
    () => `the processes of the killed server to end: ${family.filter(isAlive).join(', ')}`,
    { signal },
    gone,
  );
  await rm(file, { force: true });
}
