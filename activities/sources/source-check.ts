import type { ServerWish } from '../../workflows/model/server-role.ts';

/** `ok: false` is a fault to mend; a hint beside `ok: true` is advice. */
export interface SourceCheck {
  name: string;
  ok: boolean;
  found: string;
  hint?: string;
  /** A base backup can be taken in spite of the fault, and must be: who knows when the next disaster is. */
  backupGoesOn?: true;
}

/** What somebody means to do beyond a full backup. */
export interface CheckWants {
  /** Backups of what changed. */
  increments?: boolean;
  /** WAL from the server's archiver. */
  archive?: boolean;
  /** Names of the slots that WAL is streamed from: these and those of others are looked at. */
  slots?: readonly string[];
  /** Names of those that streams of this source once may have had: nobody reads them. */
  leftSlots?: readonly string[];
  /** Which servers backups and WAL come from: the faults of those count; absent: as BackupOptions and ShipOptions say. */
  from?: { backup?: ServerWish; wal?: ServerWish };
  /** Try every server of the cluster, not only those that are chosen. */
  every?: boolean;
}
