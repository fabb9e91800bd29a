import type { FileEntry } from '../../../workflows/model/manifest.ts';

const TYPES: readonly unknown[] = ['file', 'directory', 'symlink'];
const MOST_MODE = 0o7777;
const MOST_CRC = 0xffffffff;

/**
 * What keeps a value from being a file of a manifest, as the path of its wrong piece and what that should be. Written out,
 * where the rest of a manifest has a schema: there may be millions of them, and a schema copies every one.
 */
export function wrongEntry(value: unknown): string | undefined {
  if (!isRecord(value)) return ': expected a file';
  const entry = value as Partial<Record<keyof FileEntry, unknown>>;
  if (typeof entry.path !== 'string' || !isInside(entry.path)) return '.path: expected a path inside the tree';
  if (!TYPES.includes(entry.type)) return `.type: expected ${TYPES.join(', ')}`;
  if (!isCount(entry.mode) || entry.mode > MOST_MODE) return '.mode: expected permission bits';
  if (typeof entry.mtime !== 'string') return '.mtime: expected a time';
  if (!isCount(entry.bytes)) return '.bytes: expected a count';
  return wrongContent(entry);
}

function wrongContent(entry: Partial<Record<keyof FileEntry, unknown>>): string | undefined {
  if (entry.target !== undefined && typeof entry.target !== 'string') return '.target: expected a path';
  if (entry.crc32c !== undefined && !isCrc(entry.crc32c)) return '.crc32c: expected 32 bits';
  return wrongSlices('slices', entry.slices) ?? wrongSlices('sums', entry.sums);
}

function wrongSlices(name: 'slices' | 'sums', slices: unknown): string | undefined {
  if (slices === undefined) return undefined;
  if (!Array.isArray(slices)) return `.${name}: expected a list`;
  const wrong = slices.findIndex((slice: unknown) => !isSlice(slice));
  return wrong < 0 ? undefined : `.${name}.${wrong}: expected part, at, bytes, crc32c`;
}

function isSlice(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { part, at, bytes, crc32c } = value;
  return isCount(part) && part >= 1 && isCount(at) && isCount(bytes) && isCrc(crc32c);
}

/** Never absolute, never upwards, no empty piece: a manifest decides which files a restore writes. */
function isInside(path: string): boolean {
  if (path === '') return true;
  return !path.includes('\0') && path.split('/').every((piece) => !['', '.', '..'].includes(piece));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCrc(value: unknown): boolean {
  return isCount(value) && value <= MOST_CRC;
}
