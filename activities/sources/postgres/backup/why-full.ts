import { isFailure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn } from '../../../../workflows/model/lsn.ts';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import { isOnHistory, parseHistory } from '../../../../workflows/model/timeline.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import { timelineHistory } from '../../../io/postgres/replication.ts';
import { serverManifestOf } from './parent-manifest.ts';
import type { Before } from './streamed.ts';

/** First major version that has UPLOAD_MANIFEST and WAL summaries. */
export const INCREMENTAL_FROM = 17;

export interface Asking {
  sql: SqlClient;
  connection: ReplicationConnection;
  before: Before;
  parent: Manifest;
}

/** Why nothing can be taken on top of `parent`, as far as the server can be asked beforehand; undefined when it may be tried. */
export async function whyFull(use: Asking): Promise<string | undefined> {
  return (
    (await unableServer(use.sql)) ??
    otherCluster(use) ??
    withoutManifest(use) ??
    damagedParent(use) ??
    otherChecksums(use) ??
    (await otherTimeline(use)) ??
    (await missingSummaries(use))
  );
}

async function unableServer(sql: SqlClient): Promise<string | undefined> {
  const why = await whyNoIncrements(sql);
  return why && `${why.found}: ${why.hint}`;
}

/** Why a server takes no incremental backups at all, and what to change. */
export interface Unable {
  found: string;
  hint: string;
}

/** Undefined when this server does. */
export async function whyNoIncrements(sql: SqlClient): Promise<Unable | undefined> {
  const [row] = await query<{ version: number; summarize: string | null }>(
    sql,
    `select current_setting('server_version_num')::int as version, current_setting('summarize_wal', true) as summarize`,
  );
  const major = Math.floor((row?.version ?? 0) / 10_000);
  if (major < INCREMENTAL_FROM)
    return {
      found: `PostgreSQL ${major} takes no incremental backups`,
      hint: `version ${INCREMENTAL_FROM} and newer do, and a worker that reads the files itself`,
    };
  if (row?.summarize === 'on') return undefined;
  return { found: 'summarize_wal is off', hint: 'alter system set summarize_wal = on; select pg_reload_conf()' };
}

type Compared = Pick<Asking, 'parent'> & { before: Pick<Before, 'identity' | 'settings'> };

/** What keeps any increment from standing on the parent, however it is found what changed. */
export function unfitParent(use: Compared): string | undefined {
  return otherCluster(use) ?? damagedParent(use) ?? otherChecksums(use);
}

function otherCluster({ before, parent }: Compared): string | undefined {
  const { systemId } = before.identity;
  if (parent.identity.systemId === systemId) return undefined;
  return `${parent.point} is of another cluster: ${parent.identity.systemId}, not ${systemId}`;
}

function withoutManifest({ parent }: Asking): string | undefined {
  return serverManifestOf(parent) ? undefined : `${parent.point} holds no backup_manifest to build on`;
}

/** What was wrong in it and did not change since would come along unseen. */
function damagedParent({ parent }: Pick<Asking, 'parent'>): string | undefined {
  const pages = parent.damaged?.length ?? 0;
  return pages > 0 ? `pages in ${parent.point} were wrong on the source: ${pages}` : undefined;
}

/** Blocks of a file that was rewritten with checksums are in no WAL summary (manual, pg_combinebackup "Limitations"). */
function otherChecksums({ before, parent }: Compared): string | undefined {
  const [now, then] = [before.settings, parent.settings].map((settings) => settings['data_checksums']);
  if (now === then) return undefined;
  return `page checksums were switched since ${parent.point}: ${then ?? 'unknown'} then, ${now ?? 'unknown'} now`;
}

async function otherTimeline({ connection, before, parent }: Asking): Promise<string | undefined> {
  const { timeline } = before.identity;
  if (timeline === parent.timeline) return undefined;
  if (timeline > 1 && (await descends(connection, timeline, parent))) return undefined;
  return `timeline ${timeline} does not descend from ${parent.point} on timeline ${parent.timeline}`;
}

async function descends(connection: ReplicationConnection, timeline: number, parent: Manifest): Promise<boolean> {
  try {
    const history = parseHistory(timeline, (await timelineHistory(connection, timeline)).toString('utf8'));
    return isOnHistory(history, parent.timeline, parent.stopLsn);
  } catch (error) {
    if (isFailure(error, 'NotFound')) return false;
    throw error;
  }
}

interface Summary {
  tli: number;
  start: Lsn;
  end: Lsn;
}

/**
 * WAL from the parent's start on has to be summarised. What comes behind the newest summary the server makes while the
 * backup begins, and waits for it; what lies before is gone when it is not there (wal_summary_keep_time).
 */
async function missingSummaries({ sql, parent }: Asking): Promise<string | undefined> {
  const summaries = await readSummaries(sql);
  if (!summaries) return undefined;
  const later = summaries.filter(({ tli, end }) => tli >= parent.timeline && compareLsn(end, parent.startLsn) > 0);
  // The summaries of the parent's own timeline, one behind the other; where a newer one begins the server knows.
  let reached = parent.startLsn;
  for (const { tli, start, end } of later) {
    if (tli !== parent.timeline && reached !== parent.startLsn) break;
    if (tli !== parent.timeline || compareLsn(start, reached) > 0)
      return `WAL summaries from ${reached} on, behind ${parent.point}, are gone: see wal_summary_keep_time`;
    if (compareLsn(end, reached) > 0) reached = end;
  }
  return undefined;
}

/** Undefined when this role may not ask: the server itself decides then. */
async function readSummaries(sql: SqlClient): Promise<Summary[] | undefined> {
  const [row] = await query<{ may: boolean }>(
    sql,
    `select has_function_privilege('pg_available_wal_summaries()', 'execute') as may`,
  );
  if (!row?.may) return undefined;
  return query<Summary & Record<string, unknown>>(
    sql,
    `select tli::int as tli, start_lsn::text as start, end_lsn::text as end from pg_available_wal_summaries()
      order by tli, start_lsn`,
  );
}
