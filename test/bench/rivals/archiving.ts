import { setTimeout as delay } from 'node:timers/promises';
import { cpuOf } from '../measured.ts';
import { segmentEnd } from './segments.ts';
import type { Shipping } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { NO_ARCHIVE } from './grounds.ts';
import { ToolMeter } from './tool-meter.ts';

/** By the server's own word: a command that succeeded has made the segment durable. */
const DURABLE = { sql: 'select last_archived_wal as durable from pg_stat_archiver', endOf: segmentEnd };

/** Has the server archive by a command until the end. */
export async function startArchiving(grounds: Grounds, command: string, program: string): Promise<Shipping> {
  await archiveBy(grounds, command);
  const archiver = await archiverPid(grounds);
  const before = await cpuOf(archiver);
  const meter = new ToolMeter(program);
  return {
    durable: DURABLE,
    wholeSegments: true,
    end: async () => {
      const after = await cpuOf(archiver);
      const { detachedCpuSeconds, peakRssBytes } = await meter.end();
      await archiveBy(grounds, NO_ARCHIVE);
      return {
        cpuSeconds: after.waitedSeconds - before.waitedSeconds + detachedCpuSeconds,
        serverCpuSeconds: after.ownSeconds - before.ownSeconds,
        peakRssBytes,
      };
    },
  };
}

/** Two segments are through when it returns, the second of which was begun after the command was set. */
async function archiveBy({ cluster }: Grounds, command: string): Promise<void> {
  const { server } = cluster;
  await server.sql(`alter system set archive_command = '${command.replaceAll("'", "''")}'`);
  await server.sql('select pg_reload_conf()');
  for (let turn = 0; turn < 2; turn++) {
    const [row] = await server.sql(
      `select pg_create_restore_point('bench'), pg_walfile_name(pg_switch_wal()) as segment`,
    );
    while (!(await archived(String(row?.['segment'])))) await delay(20);
  }

  async function archived(segment: string): Promise<boolean> {
    const [row] = await server.sql(
      `select last_archived_wal >= '${segment}' as done, last_failed_wal, last_failed_time > coalesce(last_archived_time, '-infinity') as failing
       from pg_stat_archiver`,
    );
    if (row?.['failing'] === true)
      throw new Error(`archive_command fails on ${String(row['last_failed_wal'])}: ${command}`);
    return row?.['done'] === true;
  }
}

async function archiverPid({ cluster }: Grounds): Promise<number> {
  const [row] = await cluster.server.sql(`select pid from pg_stat_activity where backend_type = 'archiver'`);
  return Number(row?.['pid']);
}
