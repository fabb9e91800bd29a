import { failure } from '../../../workflows/model/failure.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../../stores/store.ts';
import { layoutOf, parseKekKey } from '../layout.ts';
import { readHeader, RECOVERY_NAMESPACE } from '../message.ts';
import type { KeyName } from '../message.ts';
import { readObject } from '../objects.ts';
import type { KeyRing } from '../vault.ts';
import type { KeyFilePlace, Opener } from './kek.ts';
import { openKek, sameName, wrapKek, wrappers } from './kek.ts';
import { KEY_FILE_LIMIT } from './key-store.ts';

export interface Rewrap {
  source: string;
  /** Opens the key files as they are: the old root key, or the recovery key when the root is lost. */
  from: Opener;
  /** Root and recovery key they are to be wrapped for. */
  to: KeyRing;
}

/**
 * Wraps every key file of a source for another root or recovery key; backups and WAL stay as they are. A repeat continues:
 * files that are done are only checked. Each new file was opened with the new root before it replaces the old one.
 * Precondition when the new ring would take away a recovery key. Key files that a worker with the old root makes meanwhile
 * need another call.
 */
export async function rewrapKeys(
  store: StoreSession,
  job: Rewrap,
  run: Run,
): Promise<{ rewrapped: number; already: number }> {
  const done = { rewrapped: 0, already: 0 };
  for await (const { key } of store.list(layoutOf(job.source).keys)) {
    const id = parseKekKey(job.source, key);
    if (!id) continue;
    run.signal.throwIfAborted();
    const at = { ...id, source: job.source, place: key };
    done[await rewrapOne({ store, run }, job, at)] += 1;
  }
  return done;
}

async function rewrapOne(
  use: { store: StoreSession; run: Run },
  job: Rewrap,
  at: KeyFilePlace,
): Promise<'rewrapped' | 'already'> {
  const file = await readObject(use, at.place, KEY_FILE_LIMIT);
  const { wrappedBy } = readHeader(file, at.place);
  const wanted = wrappers(job.to);
  if (sameWrappers(wrappedBy, wanted)) {
    await openKek(job.to, at, file);
    return 'already';
  }
  refuseLosingRecovery(at, wrappedBy, wanted);
  const { key } = await openKek(job.from, at, file);
  const rewrapped = await wrapKek(job.to, at, key);
  await openKek(job.to, at, rewrapped);
  await use.store.put(at.place, rewrapped);
  return 'rewrapped';
}

function sameWrappers(a: KeyName[], b: KeyName[]): boolean {
  return a.length === b.length && a.every((name) => b.some((other) => sameName(name, other)));
}

function refuseLosingRecovery(at: KeyFilePlace, before: KeyName[], after: KeyName[]): void {
  const recoverable = (names: KeyName[]): boolean => names.some(({ namespace }) => namespace === RECOVERY_NAMESPACE);
  if (!recoverable(before) || recoverable(after)) return;
  throw failure('Precondition', `${at.place} would lose its recovery key`, {
    place: at.place,
    expected: 'keys.recovery.public, as when it was made',
    found: 'none',
    hint: 'set keys.recovery.public to the same key or a new one',
  });
}
