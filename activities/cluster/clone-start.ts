import { readFile, readlink } from 'node:fs/promises';
import { failure } from '../../workflows/model/failure.ts';
import { findFailure } from '../../workflows/model/failure.ts';
import type { CloneStarted } from '../../workflows/model/failover-drill.ts';
import { query } from '../io/postgres/connection.ts';
import { removeStalePid, runningServer } from '../io/postgres/server.ts';
import { clonePlace, cloneUse, readNote, writeNote } from './clone.ts';
import { refuseWithoutNamespace } from './clone-copy.ts';
import { proveIsolation } from './clone-isolation.ts';
import { launcherOf } from './clone-launcher.ts';
import { refuseNewTablespaces } from './clone-tablespaces.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { pgCtlStart } from './power.ts';
import { receivedAt } from './promote.ts';

/** For the replay of the WAL that came with the copy. */
const LONGEST_START_S = 840;

/**
 * Starts a clone as a standby of nobody, in a network of its own where one can be made, and proves that it cannot reach production. A repeat
 * finds it running, and proves it again.
 */
export async function startClone(use: NodeUse, { run }: { run: string }): Promise<CloneStarted> {
  const clone = cloneUse(use);
  const { data } = clonePlace(use.node);
  const note = await readNote(use);
  if (note?.run !== run || note.bytes === undefined) throw notOurs(use, note?.run);
  const launcher = await launcherOf(use);
  if ((await runningServer(data)) === undefined) {
    await removeStalePid(data);
    await refuseWithoutNamespace(use);
    await refuseNewTablespaces(use);
    const how = ['-w', '-t', String(LONGEST_START_S), '-o', await optionsOf(use)];
    const by = 'command' in launcher ? launcher : undefined;
    await pgCtlStart(clone, how, by).catch((error: unknown) => said(use, error));
  }
  const namespace = await namespaceOf(data);
  if (namespace !== undefined) await writeNote(use, { ...note, namespace });
  const why = 'why' in launcher ? launcher.why : 'it was started without one';
  const isolation = await proveIsolation(use, namespace ?? { why });
  const { lsn, timeline } = await withNode(clone, (sql) => receivedAt(clone, sql));
  return { isolation, lsn, timeline };
}

/** Of its network, where that is not the worker's own. */
async function namespaceOf(data: string): Promise<string | undefined> {
  const pid = await runningServer(data);
  const [own, its] = await Promise.all([
    readlink('/proc/self/ns/net'),
    readlink(`/proc/${pid ?? 'self'}/ns/net`).catch(() => ''),
  ]);
  return its === '' || its === own ? undefined : its;
}

/**
 * On its command line, which no file and no session of it outranks (manual 19.1): it has no address, follows nobody, asks no archive and
 * fills none, runs no program when it is promoted, takes over no slot of a publisher, and waits for no standby. A second server on the
 * host takes little memory.
 */
async function optionsOf(use: NodeUse): Promise<string> {
  const { data, sockets, hba, ident } = clonePlace(use.node);
  const config = await configFileOf(use);
  const settings = {
    ...use.cluster.drill.settings,
    ...{
      data_directory: data,
      hba_file: hba,
      ident_file: ident,
      ...(config === undefined ? {} : { config_file: config }),
    },
    ...{
      port: String(use.node.port),
      listen_addresses: '',
      unix_socket_directories: sockets,
      unix_socket_permissions: '0700',
      ssl: 'off',
    },
    ...{ primary_conninfo: '', primary_slot_name: '', recovery_min_apply_delay: '0', hot_standby: 'on' },
    ...{
      restore_command: '',
      archive_cleanup_command: '',
      recovery_end_command: '',
      recovery_target_timeline: 'latest',
    },
    ...{ archive_mode: 'off', archive_command: '', archive_library: '', synchronous_standby_names: '' },
    ...{
      max_logical_replication_workers: '0',
      external_pid_file: '',
      logging_collector: 'off',
      log_destination: 'stderr',
    },
    ...{
      shared_buffers: '128MB',
      huge_pages: 'off',
      default_transaction_read_only: 'off',
      'cron.launch_active_jobs': 'off',
    },
  };
  const shell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return Object.entries(settings)
    .map(([name, value]) => `-c ${shell(`${name}=${value}`)}`)
    .join(' ');
}

/** Where the configuration stands outside of the data directory, it is not in the copy. */
function configFileOf(use: NodeUse): Promise<string | undefined> {
  return withNode(use, async (sql) => {
    const [row] = await query<{ file: string; data: string }>(
      sql,
      `select current_setting('config_file') as file, current_setting('data_directory') as data`,
    );
    return !row || row.file.startsWith(`${row.data}/`) ? undefined : row.file;
  });
}

const SHOWN_LINES = 3;

/** Its log goes away with it: what it says is said now. */
async function said(use: NodeUse, error: unknown): Promise<never> {
  use.run.signal.throwIfAborted();
  if (!findFailure(error)) throw error;
  const { log, folder } = clonePlace(use.node);
  const lines = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
  const worst = lines.filter((line) => /FATAL|PANIC|ERROR|HINT/.test(line)).slice(-SHOWN_LINES);
  throw failure('Unavailable', `the clone of ${use.name} cannot be started: ${worst.join('; ').slice(0, 500)}`, {
    ...{ place: folder, expected: 'exit 0 of pg_ctl start', found: worst.at(-1)?.slice(0, 300) ?? 'no word' },
    hint: `what it must not have, take away by services.${use.service}.cluster.drill.settings`,
    cause: error,
  });
}

function notOurs({ name, node }: NodeUse, run: string | undefined): Error {
  return failure('Precondition', `the clone of ${name} is not there`, {
    ...{ place: clonePlace(node).note, expected: 'the one that this run has made', found: run ?? 'none' },
    hint: 'somebody has removed it: start the drill again',
  });
}
