import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileSlice, Manifest } from '../../../../workflows/model/manifest.ts';
import { crc32c } from '../../../io/crc32c.ts';
import { release } from '../../../io/memory.ts';
import type { PointReader } from '../../source.ts';

/** The server's own list of a backup's files, in the data directory (manual, "Backup Manifest Format"). */
export const SERVER_MANIFEST = 'backup_manifest';
const PIECE_BYTES = 256 * 1024;

/** The server's manifest as a file of a point. */
export function serverManifestOf({ trees }: Manifest): FileEntry | undefined {
  const base = trees.find((tree) => tree.id === 'base');
  return base?.files.find((file) => file.path === SERVER_MANIFEST);
}

/** Sends the server's manifest of a point, holding one part of it. Integrity when it is not there whole. */
export async function sendManifest(parent: PointReader, send: (bytes: Buffer) => Promise<void>): Promise<void> {
  const { manifest } = parent;
  const slices = serverManifestOf(manifest)?.slices ?? [];
  if (slices.length === 0) throw failure('Integrity', `point ${manifest.point} holds no ${SERVER_MANIFEST}`);
  for (const slice of slices) {
    const part = manifest.parts.find(({ number }) => number === slice.part);
    if (!part) throw failure('Bug', `part ${slice.part} of ${manifest.point} is not listed`);
    const plaintext = await parent.readPart(part);
    const bytes = plaintext.subarray(slice.at, slice.at + slice.bytes);
    check(manifest.point, slice, crc32c(bytes));
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await send(bytes.subarray(at, at + PIECE_BYTES));
    release(plaintext);
  }
}

function check(point: string, slice: FileSlice, found: number): void {
  if (found === slice.crc32c) return;
  throw failure('Integrity', `${SERVER_MANIFEST} of ${point} is not what the manifest says`, {
    place: `part ${slice.part}, bytes ${slice.at} to ${slice.at + slice.bytes}`,
    expected: `CRC-32C ${slice.crc32c.toString(16)}`,
    found: `CRC-32C ${found.toString(16)}`,
  });
}
