import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { ForensicFacts } from '../../../../workflows/model/forensic.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { occupantOf } from '../../../io/postgres/server.ts';
import type { DownWish } from '../../forensic-copying.ts';
import type { PostgresOptions } from '../options.ts';
import { clusterOf } from './cluster.ts';
import { isWhole, readControl } from './control-state.ts';

/** The files of a server that is down, as they are before anything is read of them. */
export interface DownServer {
  /** Absolute, no link. */
  directory: string;
  /** Absent when PG_VERSION cannot be read. */
  major?: number;
  control: Awaited<ReturnType<typeof readControl>>;
  /** Whose files they are. */
  cluster: Omit<Identity, 'sizeBytes'>;
}

/** Any of them is enough: what is missing may be what is wrong. */
const SIGNS = ['PG_VERSION', 'global', 'base'];

/** Precondition unless the files stand here, are those of the cluster, and nothing works on them; Integrity when nothing says whose they are. */
export async function findDownServer(options: PostgresOptions, wish: DownWish): Promise<DownServer> {
  const named = wish.directory ?? options.files.dataDirectory;
  if (named === undefined) throw unknownPlace();
  const directory = await placeOf(named);
  await refuseOccupied(directory);
  const control = await readControl(directory);
  refuseOther(directory, control, wish);
  const major = await majorOf(directory);
  const cluster = clusterOf({ control, major, known: wish.known });
  return { directory, control, cluster, ...(major === undefined ? {} : { major }) };
}

export function factsOf({ directory, control }: DownServer): ForensicFacts {
  return { directory, ...(isWhole(control) ? { control: control.state } : { controlWrong: control.wrong }) };
}

const FILES = '--forensic-dir DIR, and --forensic-host HOST for the worker there';

function unknownPlace(): Error {
  return failure('Precondition', 'the server does not answer, and where its files stand is not known', {
    place: 'files.dataDirectory',
    expected: 'the data directory, on the host of the worker',
    found: 'nothing',
    hint: `set it in lifeboat.yml, or say ${FILES}`,
  });
}

async function placeOf(named: string): Promise<string> {
  let directory: string;
  try {
    directory = await realpath(named);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw fileFailure(named, error);
    throw noDirectory(named, 'nothing');
  }
  if (SIGNS.some((name) => existsSync(join(directory, name)))) return directory;
  throw noDirectory(named, `none of ${SIGNS.join(', ')}`);
}

function noDirectory(named: string, found: string): Error {
  return failure('Precondition', `${named} is no data directory on this host`, {
    place: named,
    expected: 'the files of the server that is down',
    found,
    hint: `name the right one: ${FILES}`,
  });
}

/** Files that somebody changes are no evidence, and the copy would be none of anything. */
export async function refuseOccupied(directory: string): Promise<void> {
  const occupant = await occupantOf(directory);
  if (occupant === undefined) return;
  throw failure('Precondition', `a server works on ${directory}: its files are not copied`, {
    place: join(directory, 'postmaster.pid'),
    expected: 'a server that is down',
    found: occupant,
    hint: `if it answers: lifeboat recover ... --forensic backup; else end it first: pg_ctl -D ${directory} -m immediate stop`,
  });
}

function refuseOther(directory: string, control: DownServer['control'], { known }: DownWish): void {
  if (!isWhole(control) || known === undefined || control.systemId === known.systemId) return;
  throw failure('Precondition', `${directory} has the files of another cluster`, {
    place: join(directory, 'global/pg_control'),
    expected: `system identifier ${known.systemId}`,
    found: `system identifier ${control.systemId}`,
    hint: `name the right one: ${FILES}`,
  });
}

async function majorOf(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch(() => '');
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}
