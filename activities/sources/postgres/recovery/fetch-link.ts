import { constants } from 'node:fs';
import { chown, mkdir, open, rm, symlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { FileEntry, Manifest, PartRef } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import { threadModule } from '../../../io/thread.ts';
import { runAll, Threads } from '../../../io/threads.ts';
import type { ApplyJob } from './apply-job.ts';
import { inPlaceFolder } from './changed-file.ts';
import type { Link } from './chain.ts';
import { clearFor } from './clear.ts';
import type { Fetching } from './fetch.ts';
import type { Journal } from './journal.ts';
import { placesOf, rootOf } from './link-places.ts';
import type { PlaceOf } from './parts.ts';
import { isStaged, writeParts } from './parts.ts';
import { partsInPlace } from './parts-in-place.ts';
import { placeOf } from './place.ts';

export interface FetchingLink extends Fetching {
  link: Link;
  journal: Journal;
  /** All of it is in place: only the evidence is wanted. */
  isDone: boolean;
  /** Bytes that the points before it brought. */
  doneBytes: number;
}

export interface LinkEvidence {
  /** Parts that the restore needs of this point. */
  needed: PartRef[];
  resumedParts: number;
  /** Bytes that stood in the directory already. */
  reusedBytes: number;
}

/**
 * Brings one point of the chain into the copy. What is done stands in the journal: that the copy was made ready for it, each
 * part, and that it is whole. Killed in between, a repeat does the rest of this point, and nothing of those before it.
 */
export async function fetchLink(use: FetchingLink): Promise<LinkEvidence> {
  const { plan, host, run, link, journal, doneBytes } = use;
  const { reader } = link;
  const entry = (what: number | 'begun' | 'whole'): string => `${reader.manifest.point}/${what}`;
  const isWhole = use.isDone || journal.has(entry('whole'));
  const placeOfFile = placesOf(plan, link);
  if (!isWhole && !journal.has(entry('begun'))) {
    await clearFor(plan, link);
    await journal.add(entry('begun'));
  }
  if (!isWhole) await makeTree(use, placeOfFile);
  const reusedBytes = isWhole ? 0 : await reuseParts({ ...use, entry, placeOfFile });
  const evidence = await writeParts({
    ...{ reader, run, placeOf: placeOfFile },
    ...(host.as ? { owner: host.as } : {}),
    isDone: (part) => isWhole || journal.has(entry(part)),
    isThere: mayStand(use),
    beside: { doneBytes, totalBytes: plan.estimate.fetchBytes },
    finished: (part) => journal.add(entry(part)),
  });
  if (isWhole) return { ...evidence, reusedBytes };
  await applyStaged({ manifest: reader.manifest, run }, placeOfFile);
  await journal.add(entry('whole'));
  await rm(placeOf(plan).increments, { recursive: true, force: true });
  return { ...evidence, reusedBytes };
}

/** Restored in place, files of the full point are among those that stood there. */
function mayStand({ plan, link }: FetchingLink): boolean {
  return plan.walAside !== undefined && link.reader.manifest.kind === 'full';
}

type Reusing = FetchingLink & { entry: (part: number) => string; placeOfFile: PlaceOf };

/** Restored in place, parts whose every byte stands there already count as fetched. */
async function reuseParts(use: Reusing): Promise<number> {
  const { host, run, link, journal, entry, placeOfFile } = use;
  const { manifest } = link.reader;
  if (!mayStand(use)) return 0;
  const isDone = (part: number): boolean => journal.has(entry(part));
  return partsInPlace(manifest, {
    ...{ placeOf: placeOfFile, isDone, run, found: (part) => journal.add(entry(part)) },
    ...(host.as ? { owner: host.as } : {}),
  });
}

/** Changed blocks that came in pieces go into the files they belong to. */
export async function applyStaged(
  { manifest, run }: { manifest: Manifest; run: Run },
  placeOfFile: PlaceOf,
): Promise<void> {
  const jobs: ApplyJob[] = [];
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      const { path, increment } = (isStaged(file) && placeOfFile(tree, file)) || {};
      if (path !== undefined && increment) jobs.push({ from: increment.staged, to: path, sizes: increment });
    }
  }
  if (jobs.length === 0) return;
  run.progress({ phase: 'combine', note: `${jobs.length} large files of changed blocks` });
  const threads = new Threads<ApplyJob, undefined>(
    availableParallelism(),
    threadModule('apply-thread', import.meta.url),
  );
  try {
    await runAll(jobs, run.signal, (job, signal) => threads.run({ job, moved: [], signal, isEffect: true }));
  } finally {
    await threads.close();
  }
}

/** Folders, links and empty files; the rest is made by the first slice that is written. */
async function makeTree(use: FetchingLink, placeOfFile: PlaceOf): Promise<void> {
  const { plan, host, link } = use;
  const owned = async (path: string): Promise<void> => {
    if (host.as) await chown(path, host.as.uid, host.as.gid);
  };
  for (const tree of link.reader.manifest.trees) {
    const root = rootOf(plan, tree);
    if (root === undefined) continue;
    if (inPlaceFolder(tree) !== undefined) {
      await mkdir(root, { recursive: true, mode: 0o700 });
      await owned(root);
    }
    for (const file of tree.files) {
      const path = join(root, file.path);
      if (file.type === 'directory') {
        await mkdir(path, { recursive: true, mode: 0o700 });
        await owned(path);
      } else if (file.type === 'symlink') {
        await makeLink(use, path, file);
      } else {
        const place = placeOfFile(tree, file);
        // A hole takes no room, and reads as pages that nobody has written yet.
        if (place && (place.hollow || file.bytes === 0)) await makeHollow(use, path, file);
      }
    }
  }
}

/** A link to a tablespace points to its new place; anything else the source linked to is not ours to follow. */
async function makeLink(use: FetchingLink, path: string, file: FileEntry): Promise<void> {
  const oid = /^pg_tblspc\/(\d+)$/.exec(file.path)?.[1];
  const target = oid === undefined ? undefined : use.plan.tablespaces[oid];
  await rm(path, { recursive: true, force: true });
  if (target !== undefined) await symlink(target, path);
  else await mkdir(path, { recursive: true, mode: 0o700 });
}

async function makeHollow({ host }: FetchingLink, path: string, { mode, bytes }: FileEntry): Promise<void> {
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_TRUNC;
  const handle = await open(path, flags, mode & 0o700);
  try {
    if (host.as) await handle.chown(host.as.uid, host.as.gid);
    if (bytes > 0) await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}
