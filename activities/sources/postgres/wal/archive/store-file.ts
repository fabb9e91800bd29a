import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { formatLsn } from '../../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../../workflows/model/manifest.ts';
import { parseHistory } from '../../../../../workflows/model/timeline.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import type { Run } from '../../../../io/run.ts';
import type { WalVault } from '../../../source.ts';
import { readControlFile } from '../../backup/local/control-file.ts';
import { RecordWalker } from '../records.ts';
import type { ArchivedFile } from './file-name.ts';
import { checkSegment } from './segment-file.ts';

/** Objects hold at most this much WAL. */
const CHUNK_BYTES = 16 * 2 ** 20;
const LONGEST_OTHER = 64 * 2 ** 20;

export interface Archive {
  identity: Identity;
  vault: WalVault;
  run: Run;
}

/** Returns when the file is durable in the store. A repeat with the same bytes is fine; Integrity with others. */
export async function storeFile(at: Archive, path: string, file: ArchivedFile): Promise<void> {
  const bytes = await translateFileError(path, () => readFile(path));
  if (file.kind === 'segment') {
    checkSegment(bytes, { path, ...file }, at.identity);
    return storeSegment(at, bytes, file);
  }
  const { systemId } = at.identity;
  await checkCluster(path, systemId, at.run);
  if (file.kind === 'history') {
    parseHistory(file.timeline, bytes.toString('utf8'));
    await at.vault.putHistory(systemId, file.timeline, bytes);
    return;
  }
  if (bytes.length > LONGEST_OTHER) throw tooLong(path, bytes.length);
  await at.vault.putFile(systemId, file.name, bytes);
}

async function storeSegment(
  { identity: { systemId }, vault }: Archive,
  bytes: Buffer,
  { timeline, start }: { timeline: number; start: bigint },
): Promise<void> {
  const commits = new RecordWalker();
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + CHUNK_BYTES);
    const position = start + BigInt(at);
    commits.push(position, chunk);
    const lastCommitMicros = commits.take();
    const commit = lastCommitMicros === undefined ? {} : { lastCommitMicros };
    await vault.put({ systemId, timeline, startLsn: formatLsn(position), ...commit }, chunk);
  }
}

/** Files that do not say whose they are: the data directory that they stand in does. */
async function checkCluster(path: string, systemId: string, run: Run): Promise<void> {
  const control = join(dirname(dirname(path)), 'global/pg_control');
  const found = (await readControlFile(control, run)).systemId;
  if (found === systemId) return;
  throw failure('Precondition', `WAL file ${path} is not of this cluster: its data directory`, {
    place: path,
    expected: `system identifier ${systemId}`,
    found: `system identifier ${found}`,
    hint: 'archive_command of another server, or of a restored copy, names this socket: give that server a source of its own',
  });
}

function tooLong(path: string, bytes: number): Error {
  return failure('Unsupported', `WAL file ${path} is too long to be kept`, {
    place: path,
    expected: `at most ${LONGEST_OTHER} bytes`,
    found: `${bytes} bytes`,
  });
}
