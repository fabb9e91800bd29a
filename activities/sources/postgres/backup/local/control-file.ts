import { readFile, stat } from 'node:fs/promises';
import { failure } from '../../../../../workflows/model/failure.ts';
import { crc32c } from '../../../../io/crc32c.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import type { Run } from '../../../../io/run.ts';

export interface ControlFile {
  bytes: Buffer;
  mtimeMs: number;
  mode: number;
  /** system_identifier, decimal. */
  systemId: string;
}

const TRIES = 20;
const WAIT_MS = 25;
/** Where the CRC-32C of what is before it may stand: the struct grows from version to version (pg_control.h). */
const SUM = { least: 128, most: 508, step: 4 };

/** Reads pg_control, and again while the server is writing it: it carries a checksum of its own. */
export async function readControlFile(path: string, run: Run): Promise<ControlFile> {
  for (let tries = 0; tries < TRIES; tries++) {
    const [bytes, stats] = await translateFileError(path, () => Promise.all([readFile(path), stat(path)]));
    if (isWholeControl(bytes)) {
      const { mtimeMs, mode } = stats;
      return { bytes, mtimeMs, mode: mode & 0o7777, systemId: String(bytes.readBigUInt64LE(0)) };
    }
    await run.clock.sleep(WAIT_MS, run.signal);
  }
  throw failure('Integrity', `${path} has a wrong checksum`, {
    place: path,
    expected: 'a CRC-32C that fits',
    found: `none in ${TRIES} readings`,
    hint: 'pg_controldata says what is in it; the last good backup has another one',
  });
}

/** Whether its own checksum fits. */
export function isWholeControl(bytes: Buffer): boolean {
  for (let at = SUM.least; at <= SUM.most && at + 4 <= bytes.length; at += SUM.step) {
    if (crc32c(bytes.subarray(0, at)) === bytes.readUInt32LE(at)) return true;
  }
  return false;
}
