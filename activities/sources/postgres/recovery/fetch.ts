import { constants } from 'node:fs';
import { chown, lstat, mkdir, open, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileTree, Manifest, PartRef } from '../../../../workflows/model/manifest.ts';
import type { FetchEvidence, RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { syncFolder } from '../../../io/atomic-file.ts';
import { crc32cCombine } from '../../../io/crc32c.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import type { Run } from '../../../io/run.ts';
import { runCommand } from '../../../io/run-command.ts';
import type { PointReader } from '../../source.ts';
import { CONFIG_TREE } from '../backup/index.ts';
import type { Host } from './host.ts';
import { openJournal } from './journal.ts';
import { writeParts } from './parts.ts';
import { placeOf } from './place.ts';
import { replaceFile } from './settings.ts';

/** A data directory without it cannot be started, so it comes last and by rename. */
const CONTROL_FILE = 'global/pg_control';
const STAGED = '.lifeboat-new';

export interface Fetching {
  plan: RecoveryPlan;
  host: Host;
  reader: PointReader;
  run: Run;
}

/** Writes every file of the base at its place; what an earlier attempt finished is not fetched again. */
export async function fetchBase(use: Fetching): Promise<FetchEvidence> {
  const { plan, reader } = use;
  const { manifest } = reader;
  const place = placeOf(plan);
  checkFiles(manifest);
  try {
    if (await exists(join(place.data, CONTROL_FILE))) return evidence(manifest, manifest.parts.length);
    await makeTree(use);
    await using journal = await openJournal(place.journal, plan.run);
    const resumed = journal.done.size;
    await writeParts({
      reader,
      done: journal.done,
      pathOf: (tree, file) => pathOf(plan, tree, file),
      ...(use.host.as ? { owner: use.host.as } : {}),
      run: use.run,
      finished: (part) => journal.add(part),
    });
    await rewriteTablespaceMap(use);
    await syncAll(use);
    await rename(join(place.data, CONTROL_FILE + STAGED), join(place.data, CONTROL_FILE));
    await syncFolder(dirname(join(place.data, CONTROL_FILE)));
    return evidence(manifest, resumed);
  } catch (error) {
    throw fileFailure(place.data, error);
  }
}

function evidence(manifest: Manifest, resumedParts: number): FetchEvidence {
  const files = manifest.trees.reduce((count, tree) => count + tree.files.length, 0);
  const sum = (pick: (part: PartRef) => number): number =>
    manifest.parts.reduce((total, part) => total + pick(part), 0);
  return {
    parts: manifest.parts.length,
    bytes: sum((part) => part.bytes),
    storedBytes: sum((part) => part.storedBytes),
    resumedParts,
    files,
  };
}

/** The slices of each file, whose sums are checked as they are written, together must be the file the server read. */
function checkFiles(manifest: Manifest): void {
  for (const file of manifest.trees.flatMap((tree) => tree.files)) {
    if (file.type !== 'file') continue;
    const whole = (file.slices ?? []).reduce((sum, slice) => crc32cCombine(sum, slice.crc32c, slice.bytes), 0);
    if (whole === file.crc32c) continue;
    throw failure('Integrity', `${file.path} is not what its slices add up to`, {
      place: file.path,
      expected: hex(file.crc32c ?? 0),
      found: hex(whole),
    });
  }
}

function hex(value: number): string {
  return `CRC-32C ${value.toString(16).padStart(8, '0')}`;
}

function rootOf(plan: RecoveryPlan, tree: FileTree): string {
  if (tree.id === 'base') return plan.into;
  // For a person to take from: a restored copy runs with settings of its own.
  if (tree.id === CONFIG_TREE) return join(placeOf(plan).work, CONFIG_TREE);
  const path = plan.tablespaces[tree.id];
  if (path !== undefined) return path;
  throw failure('Bug', `plan names no place for tablespace ${tree.id}`);
}

function pathOf(plan: RecoveryPlan, tree: FileTree, file: FileEntry): string {
  const staged = tree.id === 'base' && file.path === CONTROL_FILE ? STAGED : '';
  return join(rootOf(plan, tree), file.path) + staged;
}

/** Folders, links and empty files; the rest is made by the first slice that is written. */
async function makeTree(use: Fetching): Promise<void> {
  const { plan, host, reader } = use;
  const owned = async (path: string): Promise<void> => {
    if (host.as) await chown(path, host.as.uid, host.as.gid);
  };
  for (const tree of reader.manifest.trees) {
    const root = rootOf(plan, tree);
    for (const file of tree.files) {
      const path = join(root, file.path);
      if (file.type === 'directory') {
        await mkdir(path, { recursive: true, mode: 0o700 });
        await owned(path);
      } else if (file.type === 'symlink') {
        await makeLink(use, path, file);
      } else if (file.bytes === 0) {
        await makeEmpty(use, path, file.mode);
      }
    }
  }
}

/** A link to a tablespace points to its new place; anything else the source linked to is not ours to follow. */
async function makeLink(use: Fetching, path: string, file: FileEntry): Promise<void> {
  const oid = /^pg_tblspc\/(\d+)$/.exec(file.path)?.[1];
  const target = oid === undefined ? undefined : use.plan.tablespaces[oid];
  await rm(path, { recursive: true, force: true });
  if (target !== undefined) await symlink(target, path);
  else await mkdir(path, { recursive: true, mode: 0o700 });
}

async function makeEmpty({ host }: Fetching, path: string, mode: number): Promise<void> {
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;
  const handle = await open(path, flags, mode & 0o700);
  try {
    if (host.as) await handle.chown(host.as.uid, host.as.gid);
  } finally {
    await handle.close();
  }
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
