import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { once } from 'node:events';
import { failure } from '../../../../workflows/model/failure.ts';
import { DUMP_TREE } from '../../../../workflows/model/dump.ts';
import type { Selection } from '../../../../workflows/model/dump-selection.ts';
import type { FileEntry, FileSlice } from '../../../../workflows/model/manifest.ts';
import { crc32c } from '../../../io/crc32c.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { release } from '../../../io/memory.ts';
import type { Archives } from '../../../io/postgres/logical/import.ts';
import { writeAll } from '../../../io/write-all.ts';
import type { PointReader } from '../../source.ts';
import type { FetchCount } from './count.ts';
import { placeOf } from './place.ts';
import type { Restore } from './scene.ts';

/** The files of one dump, read part by part. */
export interface StoredArchives {
  reader: PointReader;
  count: FetchCount;
}

function entryOf({ manifest }: PointReader, path: string): FileEntry {
  const files = manifest.trees.find(({ id }) => id === DUMP_TREE)?.files ?? [];
  const entry = files.find((file) => file.path === path);
  if (entry) return entry;
  throw failure('Integrity', `${path} is not in point ${manifest.point}`, { place: manifest.point });
}

/** Pieces of a file in order; while one is used, the next one is on its way. */
async function* piecesOf({ reader, count }: StoredArchives, path: string): AsyncGenerator<Buffer> {
  const slices = entryOf(reader, path).slices ?? [];
  let next = slices[0] && soon(pieceOf(reader, path, slices[0]));
  for (const [index, slice] of slices.entries()) {
    const piece = await next?.();
    const following = slices[index + 1];
    next = following && soon(pieceOf(reader, path, following));
    if (!piece) return;
    count.add(reader.manifest.parts[slice.part - 1], piece.bytes.length);
    yield piece.bytes;
    release(piece.part);
  }
}

/** A failure is thrown where the result is wanted, and is no unhandled one before. */
function soon<T>(work: Promise<T>): () => Promise<T> {
  work.catch(() => undefined);
  return () => work;
}

async function pieceOf(reader: PointReader, path: string, slice: FileSlice): Promise<{ part: Buffer; bytes: Buffer }> {
  const ref = reader.manifest.parts[slice.part - 1];
  if (!ref) throw failure('Bug', `part ${slice.part} is not listed`);
  const part = await reader.readPart(ref);
  const bytes = part.subarray(slice.at, slice.at + slice.bytes);
  if (crc32c(bytes) === slice.crc32c) return { part, bytes };
  throw failure('Integrity', `${path} is not what the manifest says`, {
    place: `part ${slice.part}`,
    expected: `CRC-32C ${slice.crc32c}`,
    found: `CRC-32C ${crc32c(bytes)}`,
    hint: 'restore from another point',
  });
}

/** What one database is imported from; rows come from the vault straight into a program. */
export function archivesOf(use: Restore, stored: StoredArchives, selection: Selection): Archives {
  return {
    withDefinitions: (work) => withFile(use, { ...stored, path: selection.database.schemaFile }, work),
    rows: [...filesFor(selection)].map((path) => (to: Writable) => pour(stored, path, to)),
  };
}

/** Sequences and large objects are in the first one. */
function filesFor({ database, only }: Selection): Set<string> {
  if (!only) return new Set(database.dataFiles);
  const of = only.tables.map(({ file }) => file).filter((file) => file !== undefined);
  return new Set([...database.dataFiles.slice(0, 1), ...of]);
}

/** Writes a file of the dump where it is read: into a program, or into a file. */
export function pour(archives: StoredArchives, path: string, to: Writable): Promise<void> {
  return writeAll(piecesOf(archives, path), to);
}

/** Definitions go into a file, which several pg_restore read at once; it is gone when the work is done. */
async function withFile<T>(
  use: Restore,
  archives: StoredArchives & { path: string },
  work: (file: string) => Promise<T>,
): Promise<T> {
  const folder = placeOf(use.plan).archives;
  const file = join(folder, archives.path.replaceAll('/', '-'));
  try {
    await mkdir(folder, { recursive: true });
    const to = createWriteStream(file, { mode: 0o600 });
    const opened = once(to, 'open');
    await opened;
    const failed = new Promise<never>((_, reject) => to.once('error', reject));
    await Promise.race([pour(archives, archives.path, to), failed]);
    to.end();
    await Promise.race([once(to, 'close'), failed]);
    await chmod(file, 0o600);
    if (use.as) await chown(file, use.as.uid, use.as.gid);
    return await work(file);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : fileFailure(file, error);
  } finally {
    await rm(file, { force: true });
  }
}
