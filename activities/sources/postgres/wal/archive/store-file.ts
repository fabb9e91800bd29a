import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import type { Identity } from '../../../../../workflows/model/manifest.ts';
import { parseHistory } from '../../../../../workflows/model/timeline.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import type { WalHole } from '../../../../../workflows/model/wal.ts';
import type { Run } from '../../../../io/run.ts';
import type { WalVault } from '../../../source.ts';
import { readControlFile } from '../../backup/local/control-file.ts';
import type { ArchivedFile } from './file-name.ts';
import type { Origin } from './origin.ts';
import { checkSegment } from './segment-file.ts';
import { storeSegment } from './store-segment.ts';

const LONGEST_OTHER = 64 * 2 ** 20;

export interface Archive {
  identity: Identity;
  origin: Origin;
  vault: WalVault;
  run: Run;
  /** Somebody has been told of it. */
  passHole: WalHole | undefined;
}

/** Returns when the file is durable in the store. A repeat with the same bytes is fine; Integrity with others. */
export async function storeFile(at: Archive, path: string, file: ArchivedFile): Promise<void> {
  await at.origin.check(path, file.timeline);
  const bytes = await translateFileError(path, () => readFile(path));
  if (file.kind === 'segment') {
    checkSegment(bytes, { path, ...file }, at.identity);
    return storeSegment(at, { ...file, path, bytes });
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
