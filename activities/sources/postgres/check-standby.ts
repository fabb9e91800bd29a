import { isFailure } from '../../../workflows/model/failure.ts';
import { formatBytes } from '../../../workflows/model/units.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query } from '../../io/postgres/connection.ts';
import type { SourceCheck } from '../source.ts';

interface Facts {
  paused: string;
  behind: string | null;
  full_page_writes: boolean;
}

const FACTS = `
  select pg_get_wal_replay_pause_state() as paused,
         (pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn())::text as behind,
         full_page_writes
    from pg_control_checkpoint()`;

/** What a backup from a standby needs beyond that of any server (manual 25.3.4.1); nothing of a primary. */
export async function checkStandby(client: SqlClient): Promise<SourceCheck[]> {
  const [role] = await query<{ standby: boolean }>(client, 'select pg_is_in_recovery() as standby');
  if (role?.standby !== true) return [];
  try {
    const [facts] = await query<Facts & Record<string, unknown>>(client, FACTS);
    return facts ? [checkReplay(facts), checkPageWrites(facts)] : [];
  } catch (error) {
    // The check of the identity says which function the role may not call.
    if (isFailure(error, 'Denied')) return [];
    throw error;
  }
}

function checkReplay({ paused, behind }: Facts): SourceCheck {
  const bytes = Math.max(0, Number(behind ?? 0));
  const state = paused === 'not paused' ? '' : `${paused}, `;
  const found = `${state}${formatBytes(bytes)} received and not replayed`;
  if (paused === 'not paused') return { name: 'replay of the standby', ok: true, found };
  const hint = 'a backup waits for it up to backup.standbyWait: select pg_wal_replay_resume()';
  return { name: 'replay of the standby', ok: true, found, hint };
}

/** Pages that are read half written can only be mended by WAL that has them whole. */
function checkPageWrites({ full_page_writes: isOn }: Facts): SourceCheck {
  const name = 'full_page_writes of the primary';
  if (isOn) return { name, ok: true, found: 'on' };
  const hint = 'alter system set full_page_writes = on on the primary, reload it, and checkpoint';
  return { name, ok: false, found: 'off at its last checkpoint', hint };
}
