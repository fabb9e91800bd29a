import { constants, existsSync } from 'node:fs';
import { access, chmod, chown, mkdir, readFile, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { formatBytes } from '../../../../workflows/model/units.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { freeBytesOf } from './full-disk.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { checkPortFree } from '../../../io/postgres/host.ts';
import { checkNotLocked, checkSameCluster, disarm, isTablespaceOf } from './in-place.ts';
import { placeOf } from './place.ts';
import type { Place } from './place.ts';
import { runningServer } from '../../../io/postgres/server.ts';

/** Room left free beside what is restored. */
const SPARE = 1.05;

/** Makes the target directory this run's own, after every check; a run that comes back finds its own marker and goes on. */
export async function prepareTarget(plan: RecoveryPlan, host: Host): Promise<void> {
  const place = placeOf(plan);
  try {
    const marker = await readMarker(place);
    const isBegun = marker?.run === plan.run;
    if (isBegun && !marker.disarming) return;
    if (!isBegun) await checkTarget(plan);
    const isUsed = isBegun || (plan.walAside !== undefined && (await isOccupied(place.data)));
    if (!isUsed && (await isOccupied(place.data))) await setAside(plan, place);
    // What another run left there, a journal of parts among it, says nothing of ours.
    if (!isBegun) await rm(place.work, { recursive: true, force: true });
    await create(plan, place, { host, disarming: isUsed });
  } catch (error) {
    throw fileFailure(place.data, error);
  }
}

/** Every reason why a recovery cannot go where its plan says, before anything is touched. */
export async function checkTarget(plan: RecoveryPlan): Promise<void> {
  const place = placeOf(plan);
  try {
    await checkOwner(place, plan);
    await checkPortFree(plan.port);
    await checkWritable(place);
    await checkSpace(plan, place);
    await checkTablespaces(plan);
    if (await isOccupied(place.data)) await checkOccupied(plan, place);
  } catch (error) {
    throw fileFailure(place.data, error);
  }
}

/** The nearest folder that exists is where ours are made. */
async function checkWritable(place: Place): Promise<void> {
  await access(existingAbove(place.data), constants.W_OK | constants.X_OK);
}

function existingAbove(path: string): string {
  let at = dirname(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
}

interface Marker {
  run: string;
  source: string;
  setAside: string | null;
  /** The directory was there before us, and stays, whatever it is now. */
  inPlace?: true;
  /** It is being taken out of use. */
  disarming?: true;
  /** It is being removed, after every look whether it may be. */
  discarding?: true;
  /** Our copy is gone: what stands in the directory now was there before us. */
  discarded?: true;
}

/** Run that owns the directory; undefined when nobody of us does. */
export async function ownerOf(place: Place): Promise<string | undefined> {
  return (await readMarker(place))?.run;
}

async function readMarker(place: Place): Promise<Marker | undefined> {
  const text = await readFile(place.marker, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as Marker);
}

async function writeMarker(place: Place, marker: Marker): Promise<void> {
  await writeFile(`${place.marker}.new`, JSON.stringify(marker));
  await rename(`${place.marker}.new`, place.marker);
}

async function checkOwner(place: Place, plan: RecoveryPlan): Promise<void> {
  const owner = await ownerOf(place);
  if (owner === undefined || plan.setAside !== undefined || plan.walAside !== undefined) return;
  throw failure('Precondition', `${place.data} belongs to another restore`, {
    place: place.work,
    expected: `run ${plan.run}`,
    found: `run ${owner}`,
    hint: `name another directory with --into, or set this one aside with --replace`,
  });
}

async function isOccupied(path: string): Promise<boolean> {
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries.length > 0;
}

async function checkOccupied(plan: RecoveryPlan, place: Place): Promise<void> {
  const { setAside: aside = plan.walAside } = plan;
  if (aside === undefined) {
    throw failure('Precondition', `${place.data} is not empty`, {
      place: place.data,
      expected: 'an absent or empty directory',
      found: 'files',
      hint: 'name another directory with --into, set this one aside with --replace, or use it with --in-place',
    });
  }
  const running = await runningServer(place.data);
  if (running !== undefined) {
    throw failure('Precondition', `${place.data} is in use by a running server`, {
      place: place.data,
      expected: 'a stopped server',
      found: `postmaster ${running}`,
      hint: `pg_ctl -D ${place.data} stop`,
    });
  }
  if (plan.walAside !== undefined) {
    await checkNotLocked(place);
    await checkSameCluster(plan, place);
  }
  if (!existsSync(aside)) return;
  throw failure('Precondition', `${aside} exists`, {
    place: aside,
    expected: 'a free name',
    found: 'a directory',
    hint: 'move it away, then run the same command again',
  });
}

/** Renames what stands there. It is never deleted: until the new copy is proven, it may be the only one. */
async function setAside(plan: RecoveryPlan, place: Place): Promise<void> {
  if (plan.setAside === undefined) throw failure('Bug', `${place.data} was checked and is not empty`);
  // What is beside it goes first: killed in between, a repeat still finds the directory occupied and sets it aside.
  if (existsSync(place.work)) await rename(place.work, besideOf(plan.setAside));
  await rename(place.data, plan.setAside);
}

function besideOf(setAside: string): string {
  return `${setAside}.lifeboat`;
}

async function checkSpace(plan: RecoveryPlan, place: Place): Promise<void> {
  const at = existingAbove(place.data);
  const freeBytes = await freeBytesOf(at);
  const { fetchBytes, spaceBytes = fetchBytes } = plan.estimate;
  // How much of it is there already only the comparison knows; a disk that gets full is waited for.
  if (plan.walAside !== undefined && (await isOccupied(place.data))) return;
  const neededBytes = Math.round(spaceBytes * SPARE);
  if (freeBytes >= neededBytes) return;
  throw failure('Precondition', `disk of ${at} is too small for the restore`, {
    place: at,
    expected: `${formatBytes(neededBytes)} free`,
    found: `${formatBytes(freeBytes)} free`,
    hint: 'free space, or name a directory on another disk with --into',
  });
}

async function checkTablespaces(plan: RecoveryPlan): Promise<void> {
  for (const [oid, path] of Object.entries(plan.tablespaces)) {
    if (!(await isOccupied(path))) continue;
    if (plan.walAside !== undefined && (await isTablespaceOf(placeOf(plan), { oid, path }))) continue;
    throw failure('Precondition', `tablespace directory ${path} is not empty`, {
      place: path,
      expected: 'an absent or empty directory',
      found: 'files',
      hint: 'map it elsewhere with --tablespace OID=DIR',
    });
  }
}

async function create(plan: RecoveryPlan, place: Place, use: { host: Host; disarming: boolean }): Promise<void> {
  const { host } = use;
  for (const path of [
    place.data,
    place.work,
    place.spool,
    place.ready,
    place.want,
    place.absent,
    place.log,
    place.socket,
    ...Object.values(plan.tablespaces),
  ]) {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o700);
    if (host.as) await chown(path, host.as.uid, host.as.gid);
  }
  const inPlace = plan.walAside === undefined ? {} : ({ inPlace: true } as const);
  const marker: Marker = { run: plan.run, source: plan.source, setAside: plan.setAside ?? null, ...inPlace };
  if (use.disarming) {
    // A repeat must know that what it finds half done is ours.
    await writeMarker(place, { ...marker, disarming: true });
    await disarm(plan, place);
  }
  await writeMarker(place, marker);
}

/**
 * Ends our server with `stop`, removes what this run made, and puts back what it set aside. A repeat goes on where it
 * stopped; a directory that is not this run's is left alone.
 */
export async function removeTarget(plan: RecoveryPlan, stop: () => Promise<void>): Promise<void> {
  const place = placeOf(plan);
  const marker = await readMarker(place);
  if (marker === undefined) {
    // We were stopped before there was a marker, or behind its removal.
    await putBack(plan, place);
    await putBackWork(plan, place);
  }
  if (marker?.run !== plan.run) return;
  if (marker.discarded === undefined) {
    if (marker.discarding === undefined) {
      refusePromoted(plan, place);
      await stop();
      // In the moments between.
      refusePromoted(plan, place);
      await writeMarker(place, { ...marker, discarding: true });
    }
    const ours = marker.inPlace ? [] : [place.data, ...Object.values(plan.tablespaces)];
    for (const path of [...ours, place.socket]) await rm(path, { recursive: true, force: true });
    await removeEmpty(`${plan.into}.tablespaces`);
    await writeMarker(place, { ...marker, discarded: true });
  }
  await putBack(plan, place);
  await removeWork(place);
  await putBackWork(plan, place);
}

/** The server itself removes the file when it is promoted: what it has written since is in no other place. */
function refusePromoted({ standby, into, host, port }: RecoveryPlan, place: Place): void {
  if (!standby || !existsSync(place.data) || !existsSync(place.begun)) return;
  if (existsSync(join(place.data, 'standby.signal'))) return;
  throw failure('Precondition', `the standby in ${into} was promoted: it is left as it is`, {
    place: `${into} on host ${host}, port ${port}`,
    expected: 'standby.signal',
    found: 'a primary, with what was written since',
    hint: 'look at it; when nobody needs it: stop it, then remove that directory and the one beside it, .lifeboat',
  });
}

/** Tablespaces by default stand in one folder; what else stands there belongs to the cluster that was set aside. */
async function removeEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
  });
}

/** An occupied place is not ours to fill: we may have been stopped before anything was set aside. */
async function putBack(plan: RecoveryPlan, place: Place): Promise<void> {
  const { setAside } = plan;
  if (setAside === undefined || !existsSync(setAside) || (await isOccupied(place.data))) return;
  await rename(setAside, place.data);
}

/** What stands in its place carries no marker of anybody: it is what `create` of this run left unfinished. */
async function putBackWork(plan: RecoveryPlan, place: Place): Promise<void> {
  const { setAside } = plan;
  if (setAside === undefined || !existsSync(besideOf(setAside)) || existsSync(setAside)) return;
  await rm(place.work, { recursive: true, force: true, maxRetries: 5 });
  await rename(besideOf(setAside), place.work);
}

/** The marker goes last: until everything else is gone, a repeat must know that it is ours. */
async function removeWork(place: Place): Promise<void> {
  for (const name of await readdir(place.work)) {
    const path = join(place.work, name);
    if (path !== place.marker) await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
  await rm(place.work, { recursive: true, force: true, maxRetries: 5 });
}
