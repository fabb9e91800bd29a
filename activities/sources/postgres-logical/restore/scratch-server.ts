import { appendFile, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import { checkPortFree } from '../../../io/postgres/host.ts';
import { isAlive, launchServer, removeStalePid, runningServer } from '../../../io/postgres/server.ts';
import { settingLine } from '../../../io/postgres/setting-line.ts';
import { runCommand } from '../../../io/run-command.ts';
import { destinationOf } from './destination.ts';
import { placeOf } from './place.ts';
import type { Restore } from './scene.ts';
import { ownState, writeState } from './state.ts';

const POLL_MS = 50;
const IMPORT_FILE = 'lifeboat-import.conf';

/** Makes an empty cluster, once. */
export async function makeCluster(use: Restore): Promise<void> {
  const { plan, as, run } = use;
  const place = placeOf(plan);
  const state = await ownState(plan);
  if (state.made) return;
  // What an attempt left that was ended in the middle.
  await rm(place.data, { recursive: true, force: true });
  const own = (path: string): Promise<void> => (as ? chown(path, as.uid, as.gid) : Promise.resolve());
  // Its user need not be one that may write beside it.
  await mkdir(place.data, { mode: 0o700 });
  await own(place.data);
  await initdb(use);
  await appendFile(join(place.data, 'postgresql.conf'), `\ninclude_if_exists = '${IMPORT_FILE}'\n`);
  await writeFile(join(place.data, 'postgresql.auto.conf'), settingsOf(use));
  await own(join(place.data, 'postgresql.auto.conf'));
  const hba = '# the socket stands in a folder that only this user may enter\nlocal all all trust\n';
  await writeFile(join(place.data, 'pg_hba.conf'), `${hba}host all all 127.0.0.1/32 scram-sha-256\n`);
  await writeFile(join(place.data, IMPORT_FILE), lines(WHILE_IMPORTING));
  await own(join(place.data, IMPORT_FILE));
  run.signal.throwIfAborted();
  await writeState(place, { ...state, made: true });
}

async function initdb({ plan, folder, as, run }: Restore): Promise<void> {
  const place = placeOf(plan);
  const user = plan.settings['superuser'] ?? 'postgres';
  const { code, stderr } = await runCommand(
    join(folder, 'initdb'),
    ['-D', place.data, '-U', user, '--locale=C', '--encoding=UTF8', '--auth=trust', '--data-checksums', '--no-sync'],
    { signal: run.signal, ...(as ? { as } : {}) },
  );
  if (code === 0) return;
  throw failure('Precondition', `initdb of ${place.data} failed: ${stderr.trim().split('\n').at(-1)?.slice(0, 300)}`, {
    place: place.data,
    expected: 'exit code 0',
    found: `exit code ${code ?? 'by a signal'}`,
    hint: 'see that restore.runAs may enter the folders above it, and that the disk has room',
  });
}

/** It is reached from this host alone, and follows nobody. */
function settingsOf({ plan, options }: Restore): string {
  return lines({
    listen_addresses: '127.0.0.1',
    port: String(plan.port),
    unix_socket_directories: placeOf(plan).socket,
    // Disabled subscriptions stay so, whatever somebody does by mistake, until somebody takes this line away.
    max_logical_replication_workers: '0',
    ...options.restore.settings,
  });
}

/** While nothing is worth keeping that is not whole. */
const WHILE_IMPORTING = {
  ...{ fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', autovacuum: 'off', max_wal_size: '4GB' },
};

function lines(settings: Record<string, string>): string {
  return `${Object.entries(settings)
    .map(([name, value]) => settingLine(name, value))
    .join('\n')}\n`;
}

/** Starts the scratch cluster unless it runs; returns when it answers. */
export async function startCluster(use: Restore): Promise<void> {
  const { plan, options, folder, as, run } = use;
  const place = placeOf(plan);
  let pid = await runningServer(place.data);
  if (pid === undefined) {
    await checkPortFree(plan.port);
    await removeStalePid(place.data);
    pid = launchServer(place, { binaries: folder, ...(as ? { as } : {}) });
  }
  const deadline = run.clock.nowMs() + options.restore.startTimeout;
  for (;;) {
    const refusal = await answers(use);
    if (refusal === undefined) return;
    if (!isAlive(pid) || run.clock.nowMs() > deadline) throw notStarted(use, refusal);
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function answers({ plan, options, run }: Restore): Promise<unknown> {
  try {
    await withConnection(destinationOf(plan, options), { signal: run.signal }, () => Promise.resolve());
    return undefined;
  } catch (error) {
    run.signal.throwIfAborted();
    return error;
  }
}

function notStarted({ plan }: Restore, cause: unknown): Error {
  const place = placeOf(plan);
  return failure('Precondition', `scratch cluster in ${place.data} does not start`, {
    place: place.data,
    expected: 'a server that answers',
    found: cause instanceof Error ? cause.message.slice(0, 300) : 'no answer',
    hint: `see ${join(place.log, 'stderr')}; restore.settings has settings for it`,
    cause,
  });
}

/** What was only for the import is taken away: a checkpoint with fsync makes the cluster durable. */
export async function endImport(use: Restore): Promise<void> {
  const { plan, options, run } = use;
  const place = placeOf(plan);
  await rm(join(place.data, IMPORT_FILE), { force: true });
  if ((await runningServer(place.data)) === undefined) return;
  await withConnection(destinationOf(plan, options), { signal: run.signal, statementTimeoutMs: 0 }, async (client) => {
    await client.query('select pg_reload_conf()');
    await client.query('checkpoint');
  });
}
