import { failureTypeOf, findFailure, isRetryable } from '../../../../workflows/model/failure.ts';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import { uploadManifest } from '../../../io/postgres/base-backup.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import type { BackupFacts, PointReader } from '../../source.ts';
import type { OneServer } from '../options.ts';
import type { BackupUse } from './order.ts';
import { sendManifest } from './parent-manifest.ts';
import type { Before } from './streamed.ts';
import { NotBegun, streamBackup } from './streamed.ts';
import { whyFull } from './why-full.ts';

/** What a server answers that will not build on this parent: it says so before it sends anything. */
const REFUSALS = /^(?:55000|0A000|22...|XX000)$/;

/** The server takes nothing on top of the parent: a full backup is what is left. */
class Refused extends Error {}

export type Increment = { facts: BackupFacts } | { refused: string };

/**
 * Takes what changed since `parent` (UPLOAD_MANIFEST and BASE_BACKUP with INCREMENTAL, PostgreSQL 17 and newer): files
 * that are made up of changed blocks come as `INCREMENTAL.*`, byte for byte as pg_combinebackup reads them. The answer is
 * `refused`, with the reason, when the server or the parent does not allow it; nothing was written to the sink then.
 */
export async function takeIncrement(options: OneServer, use: BackupUse): Promise<Increment> {
  const { since } = use.backup;
  if (!since) return { refused: 'no parent was named' };
  const { kind, parent } = since;
  try {
    const upload = (connection: ReplicationConnection, before: Before): Promise<void> =>
      uploadParent(options, use, { connection, before, parent });
    const facts = await streamBackup(options, use, upload);
    return { facts: { ...facts, kind, parent: parent.manifest.point } };
  } catch (error) {
    const reason = refusalOf(error);
    if (reason === undefined) throw error instanceof NotBegun ? error.cause : error;
    use.run.log.warn('no incremental backup', { reason });
    return { refused: reason };
  }
}

function refusalOf(error: unknown): string | undefined {
  if (error instanceof Refused) return error.message;
  if (!(error instanceof NotBegun) || !REFUSALS.test(sqlStateOf(error.cause) ?? '')) return undefined;
  return `the server refuses: ${textOf(error.cause)}`;
}

function textOf(error: unknown): string {
  return (findFailure(error)?.message ?? String(error)).replace(/ \(hint: .*\)$/s, '');
}

interface Uploading {
  connection: ReplicationConnection;
  before: Before;
  parent: PointReader;
}

async function uploadParent(options: OneServer, { run }: BackupUse, up: Uploading): Promise<void> {
  const { connection, before, parent } = up;
  const reason = await withConnection(options.connection, { signal: run.signal }, (sql) =>
    whyFull({ sql, connection, before, parent: parent.manifest }),
  );
  if (reason !== undefined) throw new Refused(reason);
  run.progress({ phase: 'manifest', note: `uploading the manifest of ${parent.manifest.point}` });
  try {
    await uploadManifest(connection, (send) => sendManifest(parent, send));
  } catch (error) {
    throw unusable(parent.manifest, error) ?? error;
  }
}

/** A parent that is damaged or that the server does not take is no parent; a store that is away is waited for. */
function unusable({ point }: Manifest, error: unknown): Refused | undefined {
  const type = failureTypeOf(error);
  if (isRetryable(error) || type === undefined) return undefined;
  if (type === 'Integrity' || type === 'NotFound') return new Refused(`${point} is damaged: ${textOf(error)}`);
  if (!REFUSALS.test(sqlStateOf(error) ?? '')) return undefined;
  return new Refused(`the server does not take the manifest of ${point}: ${textOf(error)}`);
}
