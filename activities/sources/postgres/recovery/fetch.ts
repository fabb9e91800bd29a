import { lstat, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { FetchEvidence, RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { syncFolder } from '../../../io/atomic-file.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import type { Run } from '../../../io/run.ts';
import { runCommand } from '../../../io/run-command.ts';
import type { PointReader } from '../../source.ts';
import { checkChain, linksOf } from './chain.ts';
import { fetchLink } from './fetch-link.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { openJournal } from './journal.ts';
import { CONTROL_FILE, OLD_CONTROL_FILE, STAGED } from './link-places.ts';
import { placeOf } from './place.ts';
import { replaceFile } from './settings-file.ts';

export interface Fetching {
  plan: RecoveryPlan;
  host: Host;
  /** The plan's base, from which the points that it stands on are opened. */
  reader: PointReader;
  run: Run;
}

/**
 * Writes every file of the base at its place: those of the full point first, then what each newer one changes. What an
 * earlier attempt finished is not fetched again. The server's `backup_manifest` comes along with a full point only: none of a
 * chain describes what the chain makes.
 */
export async function fetchBase(use: Fetching): Promise<FetchEvidence> {
  const { plan, reader } = use;
  const place = placeOf(plan);
  await checkChain(plan, reader);
  try {
    const isDone = await exists(join(place.data, CONTROL_FILE));
    await using journal = await openJournal(place.journal, plan.run);
    const files = reader.manifest.trees.reduce((count, tree) => count + tree.files.length, 0);
    const sum: FetchEvidence = { parts: 0, bytes: 0, storedBytes: 0, resumedParts: 0, files };
    for await (const link of linksOf(plan, reader)) {
      const { needed, resumedParts, reusedBytes } = await fetchLink({
        ...use,
        link,
        journal,
        isDone,
        doneBytes: sum.bytes,
      });
      sum.parts += needed.length;
      sum.resumedParts += resumedParts;
      if (plan.walAside !== undefined) sum.reusedBytes = (sum.reusedBytes ?? 0) + reusedBytes;
      for (const part of needed) {
        sum.bytes += part.bytes;
        sum.storedBytes += part.storedBytes;
      }
    }
    if (!isDone) await finishFetch(use);
    return sum;
  } catch (error) {
    throw fileFailure(place.data, error);
  }
}

async function finishFetch(use: Fetching): Promise<void> {
  const { plan } = use;
  const { data, increments } = placeOf(plan);
  await rm(increments, { recursive: true, force: true });
  await rewriteLabel(use);
  await rewriteTablespaceMap(use);
  await syncAll(use);
  await rename(join(data, CONTROL_FILE + STAGED), join(data, CONTROL_FILE));
  await rm(join(data, OLD_CONTROL_FILE), { force: true });
  await syncFolder(dirname(join(data, CONTROL_FILE)));
}

/** With these lines the server takes the copy for changed blocks alone, and does not start on it (xlogrecovery.c). */
const INCREMENT_LINES = /^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm;

async function rewriteLabel({ plan, host }: Fetching): Promise<void> {
  const path = join(plan.into, 'backup_label');
  const label = await readFile(path, 'utf8');
  const whole = label.replace(INCREMENT_LINES, '');
  if (whole !== label) await replaceFile(path, host, whole);
}

/**
 * The server makes the links of pg_tblspc anew from this file when it starts (manual 26.3.3): left as it was, the copy
 * would open the source's tablespaces. A line is "oid path", with line ends and backslashes escaped by a backslash.
 */
async function rewriteTablespaceMap(use: Fetching): Promise<void> {
  const { plan, host } = use;
  const path = join(plan.into, 'tablespace_map');
  if (!(await exists(path))) return;
  const lines = Object.entries(plan.tablespaces).map(
    ([oid, place]) => `${oid} ${place.replace(/[\n\r\\]/g, (special) => `\\${special}`)}\n`,
  );
  await replaceFile(path, host, lines.join(''));
}

/** Everything on its disk before pg_control makes it startable: one syncfs(2) for each file system. */
async function syncAll(use: Fetching): Promise<void> {
  for (const path of [use.plan.into, ...Object.values(use.plan.tablespaces)]) {
    const { code, stderr } = await runCommand('sync', ['-f', path], { signal: use.run.signal });
    if (code !== 0)
      throw failure('Unavailable', `${path} could not be synced to disk`, { place: path, found: stderr.trim() });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
