import { access, constants, lstat, open, readdir, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { failure, isFailure } from '../../workflows/model/failure.ts';
import { isoTime } from '../io/clock.ts';
import { makeFolderDurable, syncFolder, writeAtomically } from '../io/atomic-file.ts';
import { fileFailure, translateFileError } from '../io/file-failure.ts';
import { pathOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { BodyReader, guarded } from './body.ts';
import { checkKey, STAGING } from './key.ts';
import type { Body, ByteRange, ObjectStat, PutOptions, StoreKey, StoreSession } from './store.ts';
import { defineStore } from './store.ts';

const READ_BYTES = 1 << 20;
const STATS_AT_ONCE = 32;
/** Unfinished files older than this belong to a process that is gone. */
const STALE_MS = 24 * 3_600_000;

const schema = z.strictObject({
  /** Folder, which must exist; below a mount point rather than the mount point itself. It needs link(2), rename(2), fsync(2). */
  path: pathOption,
});

export const filesystemStore = defineStore<z.infer<typeof schema>>({
  kind: 'filesystem',
  schema,
  describe: (options) => options.path,
  open: (options, run) => FilesystemSession.open(options.path, run),
});

/** A folder that is not there is never made: it may stand on a file system that is not mounted now. */
async function refuseAbsent(root: string): Promise<void> {
  try {
    await access(root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw failure('NotFound', `store folder ${root} does not exist`, {
      place: root,
      expected: 'a folder',
      found: 'nothing: it is new, or its file system is not mounted',
      hint: `mount it, or for a new store: mkdir -p ${root}`,
    });
  }
}

async function isReadOnly(root: string): Promise<boolean> {
  return access(root, constants.W_OK).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'EROFS',
  );
}

/** Folders of a source (docs/format.md "Layout"), by which the copy of a bucket is known, which has no folder of unfinished files. */
const OF_A_SOURCE = ['keys', 'points', 'wal', 'epochs'];

/** A folder that nobody can write to, with nothing of a store in it, is none: it is a mount point without its mount, or another folder. */
async function markOfReadOnly(root: string): Promise<string> {
  const names = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  if (names.some(({ name }) => name === STAGING)) return STAGING;
  for (const { name } of names) if (await isOfSource(join(root, name))) return name;
  throw failure('Precondition', `store folder ${root} is no store, and on a read-only file system`, {
    place: root,
    expected: `${STAGING}, or the folder of a source with one of ${OF_A_SOURCE.join(', ')}`,
    found:
      names.length === 0
        ? 'nothing in it'
        : names
            .map(({ name }) => name)
            .join(', ')
            .slice(0, 200),
    hint: 'mount the copy, or for a new store mount it read-write',
  });
}

/** What may not be read, a `lost+found` of the file system, is no source. */
async function isOfSource(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).some((each) => OF_A_SOURCE.includes(each));
  } catch (error) {
    if (['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

class FilesystemSession implements StoreSession {
  readonly #root: string;
  readonly #run: Run;
  /** Folder in the root by which it is known to be there. */
  readonly #mark: string;
  readonly #isReadOnly: boolean;

  constructor(root: string, run: Run, readOnly?: { mark: string }) {
    this.#root = root;
    this.#run = run;
    this.#mark = join(root, readOnly?.mark ?? STAGING);
    this.#isReadOnly = readOnly !== undefined;
  }

  static async open(root: string, run: Run): Promise<FilesystemSession> {
    return translateFileError(root, async () => {
      await refuseAbsent(root);
      // What is on a read-only file system can be read; whoever writes to it is refused there.
      if (await isReadOnly(root)) return new FilesystemSession(root, run, { mark: await markOfReadOnly(root) });
      await makeFolderDurable(join(root, STAGING));
      await access(join(root, STAGING), constants.W_OK | constants.X_OK);
      await removeStale(join(root, STAGING), run.clock.nowMs() - STALE_MS);
      return new FilesystemSession(root, run);
    });
  }

  async put(key: StoreKey, body: Body, options: PutOptions = {}): Promise<{ created: boolean }> {
    const path = this.#path(key);
    const reader = new BodyReader(body, this.#run.signal);
    try {
      await this.#checkPlace();
      if (this.#isReadOnly) throw Object.assign(new Error('read-only'), { code: 'EROFS' });
      await makeFolderDurable(dirname(path));
      const target = { path, staging: join(this.#root, STAGING), ...(options.ifAbsent ? { ifAbsent: true } : {}) };
      return await writeAtomically(target, reader.chunks());
    } catch (error) {
      throw reader.reasonOf(error, (other) => fileFailure(path, other)) as Error;
    }
  }

  async get(key: StoreKey, range?: ByteRange): Promise<Readable> {
    const path = this.#path(key);
    const { signal } = this.#run;
    const { file, bytes } = await translateFileError(path, () => openFile(path)).catch((error: unknown) =>
      this.#absent(error),
    );
    // With its end known no buffer is made to find that nothing follows: a garbage collection for every few objects less.
    const end = Math.min(range?.to ?? bytes - 1, bytes - 1);
    const start = range?.from ?? 0;
    const bounds = start <= end ? { start, end } : range ? { start, end: range.to } : {};
    const stream = file.createReadStream({ ...bounds, highWaterMark: READ_BYTES });
    return guarded(stream, { signal, translate: (error) => fileFailure(path, error) });
  }

  async stat(key: StoreKey): Promise<ObjectStat | undefined> {
    const path = this.#path(key);
    const found = await this.#statOf(key);
    if (!found) await translateFileError(path, () => this.#checkPlace());
    return found;
  }

  async *list(prefix: string, options: { startAfter?: StoreKey } = {}): AsyncIterable<ObjectStat> {
    await this.#checkPlace();
    const after = options.startAfter ?? '';
    for await (const keys of inGroups(this.#walk('', { prefix, after }), STATS_AT_ONCE)) {
      for (const found of await Promise.all(keys.map((key) => this.#statOf(key)))) {
        this.#run.signal.throwIfAborted();
        if (found) yield found;
      }
    }
  }

  async remove(key: StoreKey): Promise<void> {
    const path = this.#path(key);
    await translateFileError(path, async () => {
      await this.#checkPlace();
      await unlink(path).catch(absentIsUndefined);
      await syncFolder(dirname(path)).catch(absentIsUndefined);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #path(key: StoreKey): string {
    this.#run.signal.throwIfAborted();
    return join(this.#root, checkKey(key));
  }

  #statOf(key: StoreKey): Promise<ObjectStat | undefined> {
    const path = join(this.#root, key);
    return translateFileError(path, async () => {
      const found = await lstat(path).catch(absentIsUndefined);
      return found?.isFile() ? { key, bytes: found.size, modifiedAt: isoTime(found.mtimeMs) } : undefined;
    });
  }

  /**
   * NotFound when the folder is gone: a mount that went away must neither look like an empty store nor be filled behind
   * its mount point.
   */
  #checkPlace(): Promise<void> {
    this.#run.signal.throwIfAborted();
    return translateFileError(this.#root, () => access(this.#mark));
  }

  /** The place is told first: a key is absent only in a store that is there. */
  async #absent(error: unknown): Promise<never> {
    if (isFailure(error, 'NotFound')) await this.#checkPlace();
    throw error;
  }

  /** Depth first in byte order of whole keys: a folder sorts as its name with "/" behind. */
  async *#walk(folder: string, bounds: { prefix: string; after: string }): AsyncIterable<StoreKey> {
    const path = join(this.#root, folder);
    const entries = await translateFileError(path, () =>
      readdir(path, { withFileTypes: true }).catch(absentIsUndefined),
    );
    const names = (entries ?? [])
      .filter((entry) => entry.isFile() || (entry.isDirectory() && !(folder === '' && entry.name === STAGING)))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .sort((a, b) => (a < b ? -1 : 1));
    for (const name of names) {
      this.#run.signal.throwIfAborted();
      if (name.endsWith('/')) {
        if (mayHold(name, bounds)) yield* this.#walk(name, bounds);
      } else if (name.startsWith(bounds.prefix) && name > bounds.after) {
        yield name;
      }
    }
  }
}

/** Whether a folder can hold keys with the prefix that come after `after`. */
function mayHold(folder: string, bounds: { prefix: string; after: string }): boolean {
  const { prefix, after } = bounds;
  const onPath = folder.startsWith(prefix) || prefix.startsWith(folder);
  return onPath && (folder > after || after.startsWith(folder));
}

async function* inGroups(keys: AsyncIterable<StoreKey>, size: number): AsyncIterable<StoreKey[]> {
  let group: StoreKey[] = [];
  for await (const key of keys) {
    if (group.push(key) < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** ENOENT for what is there and is no object: a folder of keys, a device. */
async function openFile(path: string): Promise<{ file: FileHandle; bytes: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const found = await file.stat();
  if (found.isFile()) return { file, bytes: found.size };
  await file.close();
  throw Object.assign(new Error('not a file'), { code: 'ENOENT' });
}

function absentIsUndefined(error: unknown): undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}

async function removeStale(staging: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(staging)) {
    const path = join(staging, name);
    const found = await stat(path).catch(absentIsUndefined);
    if (found && found.mtimeMs < beforeMs) await rm(path, { force: true });
  }
}
