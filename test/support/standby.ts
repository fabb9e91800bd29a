import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestPostgres } from './postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { run, serverIn, withServerDir } from './postgres.ts';

/** A hot standby that streams from `primary`, stopped and removed afterwards. */
export async function withStandby<T>(
  primary: TestPostgres,
  settings: Record<string, string>,
  callback: (standby: TestPostgres) => Promise<T>,
): Promise<T> {
  return withServerDir(async (dir) => {
    const { version, binaries, connection } = primary;
    const port = await freePort();
    await run(join(binaries, 'pg_basebackup'), [
      ...['-h', connection.host, '-p', String(connection.port), '-U', connection.user, '-D', join(dir, 'data')],
      ...['-R', '-c', 'fast', '-X', 'stream', '--no-sync'],
    ]);
    const own = { port: String(port), unix_socket_directories: dir, ...settings };
    const lines = Object.entries(own).map(([name, value]) => `${name} = '${value}'\n`);
    await appendFile(join(dir, 'data', 'postgresql.auto.conf'), lines.join(''));
    const standby = serverIn(dir, { version, binaries, port });
    await standby.start();
    try {
      return await callback(standby);
    } finally {
      await standby.stop('immediate');
    }
  });
}

/** Returns when the standby has replayed all that the primary has written. */
export async function caughtUp(primary: TestPostgres, standby: TestPostgres): Promise<void> {
  const [row] = await primary.sql('select pg_current_wal_lsn()::text as lsn');
  const lsn = String(row?.['lsn']);
  await standby.sql(`do $$ begin
    while pg_last_wal_replay_lsn() < '${lsn}'::pg_lsn loop perform pg_sleep(0.02); end loop; end $$`);
}
