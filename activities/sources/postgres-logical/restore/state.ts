import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import type { RunAs } from '../../../io/run-command.ts';
import type { Place } from './place.ts';
import { placeOf } from './place.ts';

/** What a run has done, so that a repeat goes on there. */
export interface State {
  run: string;
  source: string;
  /** The cluster was made. */
  made?: true;
  roles?: true;
  /** Databases that are imported whole. */
  databases: string[];
}

/** undefined when nobody has begun here. */
export async function readState(place: Place): Promise<State | undefined> {
  if (!existsSync(place.state)) return undefined;
  return JSON.parse(await readFile(place.state, 'utf8')) as State;
}

export async function writeState(place: Place, state: State): Promise<void> {
  await writeFile(`${place.state}.new`, JSON.stringify(state));
  await rename(`${place.state}.new`, place.state);
}

export async function ownState(plan: RecoveryPlan): Promise<State> {
  const state = await readState(placeOf(plan));
  if (state?.run === plan.run) return state;
  throw failure('Precondition', `${plan.into} is not of this run any more`, {
    place: plan.into,
    expected: `run ${plan.run}`,
    found: state === undefined ? 'no mark of a run' : `run ${state.run}`,
    hint: 'run the same command again',
  });
}

/** Precondition when the directory holds something that this run may not set aside. */
export async function checkFree(plan: RecoveryPlan): Promise<void> {
  const place = placeOf(plan);
  if ((await readState(place))?.run === plan.run) return;
  const occupied = [place.data, place.work];
  for (const path of occupied) {
    if (!(await isOccupied(path)) || (plan.setAside !== undefined && path === place.data)) continue;
    throw failure('Precondition', `${path} is not empty`, {
      place: path,
      expected: 'an absent or empty directory',
      found: 'files',
      hint: 'name another directory with --into, or --replace to set this one aside',
    });
  }
}

async function isOccupied(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw fileFailure(path, error);
  }
}

/** Makes the directories ours. What stood there is renamed, never deleted. */
export async function claim(plan: RecoveryPlan, as: RunAs | undefined): Promise<void> {
  const place = placeOf(plan);
  if ((await readState(place))?.run === plan.run) return;
  await checkFree(plan);
  if (plan.setAside !== undefined && (await isOccupied(place.data))) await rename(place.data, plan.setAside);
  try {
    for (const path of [place.data, place.work, place.log, place.archives, place.socket]) {
      await mkdir(path, { recursive: true });
      await chmod(path, 0o700);
      if (as) await chown(path, as.uid, as.gid);
    }
    await writeState(place, { run: plan.run, source: plan.source, databases: [] });
  } catch (error) {
    throw fileFailure(plan.into, error);
  }
}

/** Removes what this run made and puts back what it set aside; what is not this run's is left alone. */
export async function removeOwn(plan: RecoveryPlan, stop: () => Promise<void>): Promise<void> {
  const place = placeOf(plan);
  const state = await readState(place);
  if (state !== undefined && state.run !== plan.run) return;
  if (state) {
    await stop();
    await rm(place.data, { recursive: true, force: true, maxRetries: 5 });
    await rm(place.socket, { recursive: true, force: true, maxRetries: 5 });
  }
  const { setAside } = plan;
  if (setAside !== undefined && existsSync(setAside) && !(await isOccupied(place.data))) {
    await rm(place.data, { recursive: true, force: true });
    await rename(setAside, place.data);
  }
  if (!state) return;
  // The mark goes last: until everything else is gone, a repeat must know that it is ours.
  for (const name of await readdir(place.work)) {
    const path = join(place.work, name);
    if (path !== place.state) await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
  await rm(place.work, { recursive: true, force: true, maxRetries: 5 });
}
