import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import { parseFileName } from './file-name.ts';
import type { Archive } from './store-file.ts';
import { storeFile } from './store-file.ts';

/** Segments on their way before they are asked for: each takes its length in memory. */
export const AHEAD_BYTES = 64 * 2 ** 20;
const MOST_AHEAD = 8;

interface Push {
  /** Of the file as it was read: a name is used again. */
  version: string;
  done: Promise<void>;
}

/**
 * PostgreSQL hands over one file after the other and waits for each. What it will hand over next stands ready beside the
 * file (archive_status/*.ready), and is brought to the store meanwhile: then the answer is there when it is asked for.
 */
export class Pushes {
  readonly #at: Archive;
  readonly #ahead = new Map<string, Push>();

  constructor(at: Archive) {
    this.#at = at;
  }

  /** Returns when the file is durable. */
  async push(path: string): Promise<void> {
    const file = parseFileName(basename(path), this.#at.identity.segmentBytes);
    if (!file) throw notWal(path);
    const version = await versionOf(path);
    const known = this.#ahead.get(path);
    this.#ahead.delete(path);
    const own = known?.version === version ? known.done : storeFile(this.#at, path, file);
    // What fails while the other is waited for is still awaited below.
    own.catch(() => undefined);
    if (file.kind === 'segment') await this.#goAhead(path);
    await own;
  }

  async #goAhead(path: string): Promise<void> {
    const { segmentBytes } = this.#at.identity;
    const room = Math.max(1, Math.min(MOST_AHEAD, Math.floor(AHEAD_BYTES / segmentBytes)));
    const folder = dirname(path);
    const next = (await readyIn(folder)).filter((name) => name > basename(path)).slice(0, room);
    const wanted = new Set(next.map((name) => join(folder, name)));
    for (const [other, { done }] of this.#ahead) {
      if (!wanted.has(other)) this.#ahead.delete(other);
      void done;
    }
    for (const ready of wanted) if (!this.#ahead.has(ready)) await this.#begin(ready);
  }

  /** Why it fails is found out again, and said, when the file is asked for. */
  async #begin(path: string): Promise<void> {
    const file = parseFileName(basename(path), this.#at.identity.segmentBytes);
    const version = await versionOf(path).catch(() => undefined);
    if (file?.kind !== 'segment' || version === undefined) return;
    const done = storeFile(this.#at, path, file);
    done.catch(() => {
      if (this.#ahead.get(path)?.done === done) this.#ahead.delete(path);
    });
    this.#ahead.set(path, { version, done });
  }
}

async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await translateFileError(path, () => stat(path));
  return `${ino} ${size} ${mtimeMs}`;
}

async function readyIn(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'archive_status')).catch(() => []);
  return names
    .filter((name) => /^[0-9A-F]{24}\.ready$/.test(name))
    .map((name) => name.slice(0, 24))
    .sort();
}

function notWal(path: string): Error {
  return failure('ConfigInvalid', `${path} is no file that PostgreSQL archives`, {
    place: path,
    expected: 'the name of a WAL segment, or .history, .backup, .partial',
    found: basename(path),
    hint: "archive_command = '/path/to/lifeboat-wal-push SOCKET %p'",
  });
}
