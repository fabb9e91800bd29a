import { existsSync } from 'node:fs';
import { readFile, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { syncFolder } from '../../../io/atomic-file.ts';
import { CONTROL_FILE, OLD_CONTROL_FILE } from './link-places.ts';
import type { Place } from './place.ts';

/** What is written over must at least be what we are about to make. */
export async function checkSameCluster(plan: RecoveryPlan, place: Place): Promise<void> {
  const found = (await systemIdIn(place.data, CONTROL_FILE)) ?? (await systemIdIn(place.data, OLD_CONTROL_FILE));
  if (found === plan.base.systemId) return;
  throw failure('Precondition', `${place.data} is not a copy of this cluster`, {
    place: place.data,
    expected: `system identifier ${plan.base.systemId}`,
    found: found === undefined ? 'no global/pg_control' : `system identifier ${found}`,
    hint: 'name another directory with --into, or set this one aside with --replace',
  });
}

/** pg_control begins with it (pg_control.h). */
async function systemIdIn(data: string, name: string): Promise<string | undefined> {
  const bytes = await readFile(join(data, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return bytes && bytes.length >= 8 ? String(bytes.readBigUInt64LE(0)) : undefined;
}

/**
 * A server in another container is not among our processes, and this would be the end of it: its lock file is believed.
 */
export async function checkNotLocked(place: Place): Promise<void> {
  const path = join(place.data, 'postmaster.pid');
  if (!existsSync(path)) return;
  throw failure('Precondition', `${place.data} may be in use by a server`, {
    place: path,
    expected: 'no lock file',
    found: `process ${(await readFile(path, 'utf8')).split('\n')[0]}, which may run elsewhere`,
    hint: `stop it: pg_ctl -D ${place.data} stop; or, when you are sure that none runs: rm ${path}`,
  });
}

/** Whether a tablespace's folder is that of the cluster that stands in the directory, which is to be used again. */
export async function isTablespaceOf(place: Place, { oid, path }: { oid: string; path: string }): Promise<boolean> {
  const target = await realpath(join(place.data, 'pg_tblspc', oid)).catch(() => undefined);
  return target !== undefined && target === (await realpath(path).catch(() => undefined));
}

/** From here on nobody can start what stands there. Each step may be repeated; the WAL goes out of the way, and is kept. */
export async function disarm(plan: RecoveryPlan, place: Place): Promise<void> {
  await renameIfThere(join(place.data, CONTROL_FILE), join(place.data, OLD_CONTROL_FILE));
  await syncFolder(join(place.data, dirname(CONTROL_FILE)));
  await renameIfThere(join(place.data, 'pg_wal'), plan.walAside as string);
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
