import { readFile, rename } from 'node:fs/promises';
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
