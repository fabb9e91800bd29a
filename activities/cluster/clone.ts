import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { cloneName } from '../../workflows/model/cluster.ts';
import type { NodeConfig } from '../config/index.ts';
import { writeAtomically } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { NodeUse } from './node.ts';
import { ownerOf } from './node.ts';

/** Where the clone of a node stands, on the disk of its data directory unless the configuration says where. */
export interface ClonePlace {
  /** All of it is in here. */
  folder: string;
  data: string;
  tablespaces: string;
  /** Of its Unix socket: nobody but its owner may enter the folder. */
  sockets: string;
  log: string;
  hba: string;
  ident: string;
  /** Whose it is, and how far it is. */
  note: string;
}

export function clonePlace({ dataDir, drillDir }: Pick<NodeConfig, 'dataDir' | 'drillDir'>): ClonePlace {
  const folder = drillDir === undefined ? `${dataDir}.drill` : join(drillDir, 'lifeboat-drill');
  const at = (name: string): string => join(folder, name);
  return {
    ...{ folder, data: at('data'), tablespaces: at('tablespaces'), sockets: at('s'), log: at('log') },
    ...{ hba: at('hba.conf'), ident: at('ident.conf'), note: at('clone.json') },
  };
}

/** The clone in the place of the node that it was copied from: what is done to a node can be done to it. Over its socket alone. */
export function cloneUse(use: NodeUse): NodeUse {
  const { node, name } = use;
  const connection = { ...use.cluster.connection, tls: { mode: 'disable' as const } };
  const { data, sockets, log } = clonePlace(node);
  const { binaries } = node.start;
  const start: NodeConfig['start'] = { by: 'pg_ctl', log, ...(binaries === undefined ? {} : { binaries }) };
  const cluster = { ...use.cluster, connection };
  return { ...use, cluster, name: cloneName(name), node: { ...node, dataDir: data, socket: sockets, start } };
}

const UNFINISHED = '.part';

/** What stands in the place of the clone and is none of ours: somebody else made the folder. */
export async function foreignIn(use: Pick<NodeUse, 'node' | 'name' | 'service'>): Promise<string[]> {
  const { folder } = clonePlace(use.node);
  if (!existsSync(folder)) return [];
  const note = await readNote(use);
  if (note && (note.service !== use.service || note.node !== use.name))
    return [`the clone of ${note.node} of service ${note.service}`];
  if (note) return [];
  const entries = await translateFileError(folder, () => readdir(folder));
  return entries.filter((name) => !name.endsWith(UNFINISHED));
}

export interface CloneNote {
  run: string;
  /** Whose it is: two services may have one folder for their clones, and neither touches that of the other. */
  service: string;
  node: string;
  /** All of it is there; what was copied. */
  bytes?: number;
  /** Of its network. */
  namespace?: string;
}

/** Undefined when there is none, or it says nothing that we know. */
export async function readNote({ node }: Pick<NodeUse, 'node'>): Promise<CloneNote | undefined> {
  try {
    const note = JSON.parse(await readFile(clonePlace(node).note, 'utf8')) as Partial<CloneNote>;
    return typeof note.run === 'string' ? (note as CloneNote) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return translateFileError(clonePlace(node).note, () => Promise.reject(error as Error));
  }
}

export function writeNote(use: NodeUse, note: Omit<CloneNote, 'service' | 'node'>): Promise<void> {
  const whose = { ...note, service: use.service, node: use.name };
  return writeCloneFile(use, clonePlace(use.node).note, `${JSON.stringify(whose)}\n`);
}

/** A file of the clone's folder, the server's own. */
export async function writeCloneFile(use: NodeUse, path: string, text: string): Promise<void> {
  const owner = await ownerOf(use);
  const target = { path, staging: clonePlace(use.node).folder, mode: 0o600, ...(owner ? { owner } : {}) };
  await translateFileError(path, () => writeAtomically(target, Readable.from([Buffer.from(text)])));
}
