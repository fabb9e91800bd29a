import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestPostgres } from './postgres.ts';

/** What a drill must leave as it is: asked of the server, and of its files by PostgreSQL's own program. */
export async function standing(server: TestPostgres): Promise<Record<string, unknown>> {
  const [row] = await server.sql(
    `select pg_is_in_recovery() as standby, system_identifier::text as system, current_setting('primary_conninfo') as follows,
            (select json_agg(slot_name order by slot_name)::text from pg_replication_slots) as slots
       from pg_control_system()`,
  );
  const path = join(server.dataDir, 'postgresql.auto.conf');
  const control = execFileSync(join(server.binaries, 'pg_controldata'), [server.dataDir], { encoding: 'utf8' });
  const of = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(control)?.[1] ?? '';
  return {
    ...row,
    control: [
      of('Database cluster state'),
      of("Latest checkpoint's TimeLineID"),
      of("Min recovery ending loc's timeline"),
    ],
    settings: await readFile(path, 'utf8'),
    marked: ['lifeboat.epoch', 'lifeboat.promoting'].filter((name) => existsSync(join(server.dataDir, name))),
    histories: (await readdir(join(server.dataDir, 'pg_wal'))).filter((name) => name.endsWith('.history')),
  };
}

/** Processes that have a folder among their words, or work below it. */
export async function processesUnder(folder: string): Promise<string[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    numbers.map(async (name) => `${name} ${await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')}`),
  );
  return lines.filter((line) => line.includes(folder)).map((line) => line.replaceAll('\0', ' '));
}
