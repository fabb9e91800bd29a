import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { failure } from '../../workflows/model/failure.ts';
import type { ClusterConfig, NodeConfig } from '../config/index.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { ConnectMode, ServerOptions, SqlClient } from '../io/postgres/connection.ts';
import { withConnection } from '../io/postgres/connection.ts';
import { findPrograms } from '../io/postgres/programs.ts';
import { connectReplication, identifySystem } from '../io/postgres/replication.ts';
import type { RunAs } from '../io/run-command.ts';
import type { Run } from '../io/run.ts';

/** One node of a cluster in the hands of one activity. */
export interface NodeUse {
  service: string;
  name: string;
  node: NodeConfig;
  cluster: ClusterConfig;
  /** Host of the worker that works on it. */
  host: string;
  run: Run;
}

const STATEMENT_MS = 10_000;

/** `remote`: as the other nodes reach it, instead of over its own socket. */
export function connectionOf({ node, cluster }: Pick<NodeUse, 'node' | 'cluster'>, remote = false): ServerOptions {
  const host = remote ? node.address : (node.socket ?? node.address);
  return { ...cluster.connection, host, port: node.port };
}

/**
 * A session of ours at the node: it waits for no standby, for what it writes says only that it was written here, and writes
 * although others may not.
 */
export function withNode<T>(use: NodeUse, work: (sql: SqlClient) => Promise<T>, mode: ConnectMode = {}): Promise<T> {
  const settings = { default_transaction_read_only: 'off', synchronous_commit: 'local' };
  const own = { statementTimeoutMs: STATEMENT_MS, signal: use.run.signal, settings };
  return withConnection(connectionOf(use), { ...own, ...mode }, work);
}

/**
 * The timeline that a server is on, as a walsender tells: of a standby without a receiver that has followed its primary to a new one, pg_control
 * may have the old one still.
 */
export async function timelineNow(use: NodeUse, remote = false): Promise<number> {
  await using walsender = await connectReplication(connectionOf(use, remote), use.run);
  return (await identifySystem(walsender)).timeline;
}

/** Another node of the cluster. */
export function peerOf({ cluster }: Pick<NodeUse, 'cluster'>, name: string): NodeConfig {
  const node = cluster.nodes[name];
  if (!node) throw failure('Bug', `no node ${name}`);
  return node;
}

/** Who owns the data directory, where the worker is root: what is written and run there is theirs. */
export async function ownerOf({ node }: Pick<NodeUse, 'node'>): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await translateFileError(node.dataDir, () => stat(node.dataDir));
  return { uid, gid };
}

/** Folder with the programs of exactly the major version of the data directory. */
export async function binariesOf({ service, name, node }: NodeUse): Promise<string> {
  const path = join(node.dataDir, 'PG_VERSION');
  const major = Number((await translateFileError(path, () => readFile(path, 'utf8'))).trim());
  const setting = `services.${service}.cluster.nodes.${name}.start.binaries`;
  const { folder, major: found } = await findPrograms({
    programs: ['pg_controldata', 'pg_ctl', 'postgres'],
    ...{ major, folder: node.start.binaries, setting, package: 'postgresql' },
  });
  if (found === major) return folder;
  throw failure('Unsupported', `PostgreSQL ${major} is not installed on the host of ${name}`, {
    place: setting,
    expected: `a folder with the programs of PostgreSQL ${major}`,
    found: `${folder}: ${found}`,
    hint: `install PostgreSQL ${major}, or set ${setting} to its bin folder`,
  });
}
