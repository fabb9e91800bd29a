import { failure } from '../../../workflows/model/failure.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../../stores/store.ts';
import type { Kek } from '../codec/job.ts';
import { abortable } from '../abortable.ts';
import { layoutOf, parseKekKey } from '../layout.ts';
import { readHeader, RECOVERY_NAMESPACE } from '../message.ts';
import type { KeyName } from '../message.ts';
import { readObject } from '../objects.ts';
import type { KeyRing } from '../vault.ts';
import type { KeyFilePlace, Opener } from './kek.ts';
import { keyNameText, openerName, openKek, sameName, wrapKek, wrappers } from './kek.ts';
import { KEY_FILE_LIMIT } from './key-store.ts';
import { findUnvouched } from './vouch.ts';

export interface Rewrap {
  source: string;
  /** Opens the key files as they are: the old root key, or the recovery key when the root is lost. */
  from: Opener;
  /** Root and recovery key they are to be wrapped for; whose signatures count. */
  to: KeyRing;
}

/** What is to be done for one source; nothing was written yet. */
export interface RewrapPlan {
  source: string;
  /** Key files to wrap again: keys in the store. */
  toWrap: string[];
  /** Key files that are wrapped for these keys; each was opened with the new root. */
  already: string[];
  /**
   * Of `toWrap`, those that nothing proves to be ours. A root key proves what it opens. The public half of the recovery key is
   * no secret, so of what only that key opens, a signed manifest has to prove it.
   */
  unvouched: string[];
  /** Wraps them. Each is opened with the new root before it replaces the old one. A repeat does the same again. */
  apply(): Promise<void>;
}

interface Opened {
  at: KeyFilePlace;
  kek: Kek;
}

/**
 * Opens every key file of a source, to wrap it for another root or recovery key; backups and WAL stay as they are. Run again
 * after an interruption: what is done is only checked. Key files that a worker with the old root makes meanwhile need another
 * run. Failures, before anything is written: Denied when `from` opens a file neither, Integrity for a damaged one,
 * Precondition when the new ring would take away a recovery key.
 */
export async function planRewrap(session: StoreSession, job: Rewrap, run: Run): Promise<RewrapPlan> {
  const store = abortable(session, run.signal);
  const layout = layoutOf(job.source);
  const already: string[] = [];
  const opened: Opened[] = [];
  for await (const { key } of store.list(layout.keys)) {
    const id = parseKekKey(job.source, key);
    if (!id) continue;
    run.signal.throwIfAborted();
    const found = await openOne({ store, run }, job, { ...id, source: job.source, place: key });
    if (found === 'already') already.push(key);
    else opened.push(found);
  }
  const asked = 'root' in job.from ? [] : opened.map(({ kek }) => kek);
  const vouching = { store, run, layout, source: job.source, trusted: job.to.trusted };
  const unvouched = await findUnvouched(vouching, asked);
  return {
    source: job.source,
    toWrap: opened.map(({ at }) => at.place),
    already,
    unvouched: opened.filter(({ kek }) => unvouched.includes(kek)).map(({ at }) => at.place),
    apply: async () => {
      for (const each of opened) await wrapOne({ store, run }, job.to, each);
    },
  };
}

async function openOne(
  use: { store: StoreSession; run: Run },
  job: Rewrap,
  at: KeyFilePlace,
): Promise<Opened | 'already'> {
  const file = await readObject(use, at.place, KEY_FILE_LIMIT);
  const { wrappedBy } = readHeader(file, at.place);
  const wanted = wrappers(job.to);
  if (sameWrappers(wrappedBy, wanted)) {
    openKek(job.to, at, file);
    return 'already';
  }
  refuseLosingRecovery(at, wrappedBy, wanted);
  const from = openerName(job.from);
  if (!wrappedBy.some((name) => sameName(name, from))) throw wrongOldKey(at, wrappedBy, from);
  return { at, kek: openKek(job.from, at, file) };
}

async function wrapOne({ store, run }: { store: StoreSession; run: Run }, to: KeyRing, opened: Opened): Promise<void> {
  const { at, kek } = opened;
  run.signal.throwIfAborted();
  const file = wrapKek(to, at, kek.key);
  openKek(to, at, file);
  await store.put(at.place, file);
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

function wrongOldKey(at: KeyFilePlace, wrappedBy: KeyName[], from: KeyName): Error {
  return failure('Denied', `${at.place} was not wrapped for ${keyNameText(from)}`, {
    place: at.place,
    expected: `one of ${wrappedBy.map(keyNameText).join(', ')}`,
    found: keyNameText(from),
    hint: 'lifeboat keys rewrap with the key that is named here: --from-root FILE or --from-recovery FILE',
  });
}
