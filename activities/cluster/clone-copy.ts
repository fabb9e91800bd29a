import { chown, mkdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { CloneMade } from '../../workflows/model/failover-drill.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import { translateFileError } from '../io/file-failure.ts';
import { query } from '../io/postgres/connection.ts';
import { libpqPlace } from '../io/postgres/libpq.ts';
import { runCommand } from '../io/run-command.ts';
import { clonePlace, cloneUse, foreignIn, readNote, writeCloneFile, writeNote } from './clone.ts';
import { launcherOf } from './clone-launcher.ts';
import { clearClone } from './clone-remove.ts';
import { STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, connectionOf, ownerOf, withNode } from './node.ts';
import { saidBy } from './rewind.ts';
import { endStray } from './stray-programs.ts';

const COPIER = 'pg_basebackup';
/** A path of a socket has no more (unix(7)), and the name of the server's own comes to it. */
const LONGEST_SOCKET = 107;

/**
 * Copies a standby into a folder of its own, by a base backup of itself with the WAL that makes it whole: the primary does not hear of
 * it, and the slot that the copy uses is the standby's and goes with the session. A repeat by the same run finds what is there;
 * what a run that is over has left is removed.
 */
export async function makeClone(use: NodeUse, { run }: { run: string }): Promise<CloneMade> {
  const { folder } = clonePlace(use.node);
  const before = await readNote(use);
  if (before?.run === run && before.bytes !== undefined) return { folder, bytes: before.bytes };
  refuseLongSocket(use);
  await refuseForeign(use);
  const found = await lookAtStandby(use);
  await refuseWithoutNamespace(use);
  await clearClone(use);
  await refuseWithoutRoom(use, found.bytes);
  await makeFolders(use, run);
  await copy(use, found.tablespaces);
  await isolateFiles(use);
  await writeNote(use, { run, bytes: found.bytes });
  return { folder, bytes: found.bytes };
}

function refuseLongSocket({ node, name, service }: NodeUse): void {
  const path = join(clonePlace(node).sockets, `.s.PGSQL.${node.port}`);
  if (Buffer.byteLength(path) <= LONGEST_SOCKET) return;
  throw failure('Unsupported', `the clone of ${name} would have a socket with too long a name`, {
    place: `services.${service}.cluster.nodes.${name}.drillDir`,
    expected: `at most ${LONGEST_SOCKET} bytes`,
    found: path,
    hint: 'set drillDir of the node to a shorter path',
  });
}

/** What has no note of ours in it was made by somebody else. */
async function refuseForeign(use: NodeUse): Promise<void> {
  const { node, name, service } = use;
  const { folder } = clonePlace(node);
  const entries = await foreignIn(use);
  if (entries.length === 0) return;
  throw failure('Precondition', `the folder for the clone of ${name} holds something else`, {
    place: folder,
    expected: 'nothing, or a clone of ours',
    found: entries.slice(0, 5).join(', '),
    hint: `move it away, or set services.${service}.cluster.nodes.${name}.drillDir`,
  });
}

interface Standby {
  bytes: number;
  tablespaces: string[];
}

async function lookAtStandby(use: NodeUse): Promise<Standby> {
  return withNode(use, async (sql) => {
    const [row] = await query<{ standby: boolean; bytes: number }>(
      sql,
      `select pg_is_in_recovery() as standby,
              (select sum(pg_tablespace_size(oid)) from pg_tablespace)::float8 as bytes`,
    );
    if (!row?.standby) throw noStandby(use);
    const places = await query<{ place: string }>(
      sql,
      `select l as place from pg_tablespace, pg_tablespace_location(oid) l where l like '/%' order by 1`,
    );
    return { bytes: row.bytes, tablespaces: places.map(({ place }) => place) };
  });
}

function noStandby({ name, service }: NodeUse): Error {
  return failure('Precondition', `${name} is no standby now: only of a standby is a clone made`, {
    ...{ place: name, expected: 'a server in recovery', found: 'a primary' },
    hint: `lifeboat ready ${service}; give --to a standby`,
  });
}

export async function refuseWithoutNamespace(use: NodeUse): Promise<void> {
  if (use.cluster.drill.isolation !== 'namespace') return;
  const launcher = await launcherOf(use);
  if ('command' in launcher) return;
  throw failure('Precondition', `no network namespace can be made on the host of ${use.name}`, {
    place: `services.${use.service}.cluster.drill.isolation`,
    expected: 'a worker that may call unshare --net: root, or with user namespaces',
    found: launcher.why,
    hint: 'give the worker that right, or set isolation: any',
  });
}

/** The standby itself must not run out of disk by it. */
async function refuseWithoutRoom({ node, name, service, cluster }: NodeUse, bytes: number): Promise<void> {
  const folder = dirname(clonePlace(node).folder);
  const { bavail, bsize } = await translateFileError(folder, () => statfs(folder));
  const wanted = bytes + cluster.watch.ready.free;
  if (bavail * bsize >= wanted) return;
  throw failure('Precondition', `there is no room for a clone of ${name}`, {
    place: folder,
    expected: `${formatBytes(wanted)}: all of it, and what watch.ready.free keeps`,
    found: formatBytes(bavail * bsize),
    hint: `make room, or set services.${service}.cluster.nodes.${name}.drillDir to another disk`,
  });
}

/** The note first: what stands there without it is somebody else's. */
async function makeFolders(use: NodeUse, run: string): Promise<void> {
  const { folder, sockets, tablespaces } = clonePlace(use.node);
  const owner = await ownerOf(use);
  for (const path of [folder, sockets, tablespaces]) {
    await translateFileError(path, async () => {
      await mkdir(path, { recursive: true, mode: 0o700 });
      if (owner) await chown(path, owner.uid, owner.gid);
    });
    if (path === folder) await writeNote(use, { run });
  }
}

async function copy(use: NodeUse, tablespaces: readonly string[]): Promise<void> {
  const { cluster, node, run } = use;
  const { data, tablespaces: beside } = clonePlace(node);
  const { conninfo, env } = libpqPlace(connectionOf(use), { database: cluster.connection.database });
  const escaped = (path: string): string => path.replaceAll('=', '\\=');
  const moved = tablespaces.flatMap((place, index) => [
    '-T',
    `${escaped(place)}=${escaped(join(beside, String(index)))}`,
  ]);
  const args = ['-D', data, '-c', 'fast', '-X', 'stream', ...moved];
  const as = await ownerOf(use);
  run.progress({ phase: `copy ${use.name}` });
  await endStray(use, COPIER, data);
  const path = join(await binariesOf(use), COPIER);
  const end = await runCommand(
    path,
    [...args, '-l', 'lifeboat failover drill', '--no-manifest', '-w', '-d', conninfo],
    {
      ...{ signal: run.signal, env },
      ...(as ? { as } : {}),
    },
  );
  if (end.code === 0) return;
  throw failure('Unavailable', `${use.name} could not be copied: ${saidBy(end)}`, {
    ...{ place: path, expected: 'exit 0', found: saidBy(end) },
    hint: `a line "local replication" or "host replication" in pg_hba.conf of ${use.name}, two free max_wal_senders; see its log`,
  });
}

/** Where it was streamed from, and by which password. */
const FOLLOWS = /^\s*(?:primary_conninfo|primary_slot_name)\s*[= ]/i;

/** A standby for whoever starts it, with no password in it, and open to nobody but the owner of its socket's folder. */
async function isolateFiles(use: NodeUse): Promise<void> {
  const { hba, ident, data } = clonePlace(use.node);
  await writeNodeFile(cloneUse(use), STANDBY_SIGNAL, '');
  const auto = join(data, 'postgresql.auto.conf');
  const lines = (await translateFileError(auto, () => readFile(auto, 'utf8'))).split('\n');
  await translateFileError(auto, () => writeFile(auto, lines.filter((line) => !FOLLOWS.test(line)).join('\n')));
  await writeCloneFile(use, hba, 'local all all trust\nlocal replication all trust\n');
  await writeCloneFile(use, ident, '');
}
