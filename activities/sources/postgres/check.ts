import { failureFacts, findFailure } from '../../../workflows/model/failure.ts';
import { formatBytes, formatDuration } from '../../../workflows/model/units.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { addressOf, query, withConnection } from '../../io/postgres/connection.ts';
import { placeOf, sqlStateOf } from '../../io/postgres/failures.ts';
import { connectReplication } from '../../io/postgres/replication.ts';
import type { Run } from '../../io/run.ts';
import type { CheckWants, SourceCheck } from '../source.ts';
import { lookForDataDirectory } from './backup/local/data-directory.ts';
import { whyNoIncrements } from './backup/why-full.ts';
import { checkSlots } from './check-slots.ts';
import { checkStandby } from './check-standby.ts';
import type { OneServer, Probe } from './options.ts';
import { archiverTrouble, commandDoubt } from './wal/archive/archiver.ts';

/** Clocks further apart than this make a time target mean something else than its author thinks. */
const MOST_SKEW_MS = 5_000;
const INSUFFICIENT_PRIVILEGE = '42501';

/** Tries everything that backup and WAL shipping need of a server. Changes nothing. */
export async function checkOneServer(options: OneServer, run: Run, wants: CheckWants = {}): Promise<SourceCheck[]> {
  const { connection } = options;
  try {
    const sql = await withConnection(connection, { signal: run.signal }, async (client) => [
      ...(await checkServer(client, connection.user)),
      ...(await checkStandby(client)),
      ...(await checkClock(client, run)),
      ...(wants.archive ? [await checkArchiver(client)] : []),
      ...(wants.slots ? await checkSlots(client, { own: wants.slots, left: wants.leftSlots ?? [] }) : []),
      ...(wants.increments ? [await checkIncrements(options, client, run)] : []),
      await checkFiles(options, client, run),
    ]);
    const where = placeOf(addressOf(connection));
    return [
      { name: 'connection', ok: true, found: where },
      ...sql,
      await checkWalsender(options, run),
      ...(await checkProbes(options, run)),
    ];
  } catch (error) {
    run.signal.throwIfAborted();
    return [refused('connection', error)];
  }
}

/** Without it the backup would wait for its WAL for ever. */
async function checkArchiver(client: SqlClient): Promise<SourceCheck> {
  const trouble = await archiverTrouble(client);
  const doubt = trouble ?? (await commandDoubt(client));
  if (!doubt) return { name: 'archiving to us', ok: true, found: 'archive_command hands WAL to a worker' };
  const { name, found, hint } = doubt;
  return { name, ok: false, found, hint, ...(trouble ? {} : { backupGoesOn: true }) };
}

/** A backup goes on without: it becomes a full one. */
async function checkIncrements(options: OneServer, client: SqlClient, run: Run): Promise<SourceCheck> {
  const why = await whyNoIncrements(client);
  if (!why) return { name: 'incremental backups', ok: true, found: 'summarize_wal = on' };
  const { found, hint } = why;
  if ('path' in (await lookForDataDirectory(options, client, run)))
    return { name: 'incremental backups', ok: true, found: `${found}: every page is read and compared here`, hint };
  const full = 'the scheduled incremental or differential backups are full ones until then';
  return { name: 'incremental backups', ok: true, found, hint: `${hint}; ${full}` };
}

function refused(name: string, error: unknown): SourceCheck {
  const { hint } = failureFacts(error);
  const message = findFailure(error)?.message ?? String(error);
  const found = hint === undefined ? message : message.replace(` (hint: ${hint})`, '');
  return { name, ok: false, found, ...(hint === undefined ? {} : { hint }) };
}

async function checkWalsender(options: OneServer, run: Run): Promise<SourceCheck> {
  try {
    await using connection = await connectReplication(options.connection, run);
    return { name: 'replication connection', ok: true, found: connection.place };
  } catch (error) {
    return refused('replication connection', error);
  }
}

/** Whether a base backup reads the files on this host, which is the faster way, or has the server send them. */
async function checkFiles(options: OneServer, client: SqlClient, run: Run): Promise<SourceCheck> {
  const name = 'files of the base backup';
  const looked = await lookForDataDirectory(options, client, run);
  if ('path' in looked) return { name, ok: true, found: `read here, in ${looked.path}` };
  const { found, hint } = looked;
  if (options.files.read === 'local') return { name, ok: false, found, hint };
  return { name, ok: true, found: `sent by the server (${found})`, ...(options.files.read === 'auto' ? { hint } : {}) };
}

interface Facts {
  version: string;
  standby: boolean;
  replication: boolean;
  wal_level: string;
  senders: number;
  senders_used: number;
  slots: number;
  slots_used: number;
  checksums: string;
  full_page_writes: string;
  archive_mode: string;
  archives: boolean;
  keep_mb: number;
  emit: boolean;
  emit_signature: string;
  control: boolean;
  config_outside: boolean | null;
}

async function checkServer(client: SqlClient, user: string): Promise<SourceCheck[]> {
  const [facts] = await query<Facts & Record<string, unknown>>(client, FACTS);
  return facts ? [...checkRights(facts, user), ...checkSettings(facts), ...advice(facts)] : [];
}

const FACTS = `
  with setting as (select name, setting from pg_settings)
  select current_setting('server_version') as version, pg_is_in_recovery() as standby,
         (select rolreplication or rolsuper from pg_roles where rolname = current_user) as replication,
         current_setting('wal_level') as wal_level,
         current_setting('max_wal_senders')::int as senders,
         (select count(*)::int from pg_stat_replication) as senders_used,
         current_setting('max_replication_slots')::int as slots,
         (select count(*)::int from pg_replication_slots) as slots_used,
         current_setting('data_checksums') as checksums, current_setting('full_page_writes') as full_page_writes,
         current_setting('archive_mode') as archive_mode,
         coalesce((select bool_or(setting <> '' and setting <> '(disabled)') from setting
                    where name in ('archive_command', 'archive_library')), false) as archives,
         (select setting::int from setting where name = 'max_slot_wal_keep_size') as keep_mb,
         (select bool_or(has_function_privilege(oid, 'execute')) from pg_proc
           where proname = 'pg_logical_emit_message' and proargtypes[2] = 'text'::regtype) as emit,
         (select oid::regprocedure::text from pg_proc
           where proname = 'pg_logical_emit_message' and proargtypes[2] = 'text'::regtype) as emit_signature,
         has_function_privilege('pg_control_system()', 'execute') as control,
         (select bool_or(setting not like (select setting from setting where name = 'data_directory') || '/%')
            from setting where name in ('config_file', 'hba_file', 'ident_file')) as config_outside`;

function checkRights(facts: Facts, user: string): SourceCheck[] {
  return [
    { name: 'version', ok: true, found: `${facts.version}${facts.standby ? ', a standby' : ''}` },
    wanted('replication right', facts.replication, {
      found: facts.replication ? `role "${user}" has it` : `role "${user}" lacks it`,
      hint: `alter role "${user}" replication`,
    }),
    wanted('identity', facts.control, {
      found: facts.control ? 'pg_control_system() may be called' : 'pg_control_system() may not be called',
      hint: `grant execute on function pg_control_system(), pg_control_checkpoint(), pg_control_recovery(), pg_control_init() to "${user}"`,
    }),
    wanted('heartbeat', facts.emit || facts.standby, {
      found: facts.emit ? 'pg_logical_emit_message() may be called' : 'pg_logical_emit_message() may not be called',
      hint: `grant execute on function ${facts.emit_signature} to "${user}"`,
      backupGoesOn: true,
    }),
  ];
}

function checkSettings(facts: Facts): SourceCheck[] {
  const freeSenders = facts.senders - facts.senders_used;
  const freeSlots = facts.slots - facts.slots_used;
  return [
    wanted('wal_level', facts.wal_level !== 'minimal', {
      found: facts.wal_level,
      hint: "alter system set wal_level = 'replica'; then restart the server",
    }),
    wanted('max_wal_senders', freeSenders > 0, {
      found: `${facts.senders_used} of ${facts.senders} in use; a backup takes one, the WAL stream another`,
      hint: 'raise max_wal_senders and restart the server, or end one: select * from pg_stat_replication',
      advise: freeSenders < 2,
    }),
    wanted('max_replication_slots', freeSlots > 0, {
      found: `${facts.slots_used} of ${facts.slots} in use; the WAL stream takes one`,
      hint: 'raise max_replication_slots and restart the server, or drop one: select * from pg_replication_slots',
      // One of them may be ours.
      backupGoesOn: true,
    }),
    wanted('archiving', facts.archive_mode === 'off' || facts.archives, {
      found: `archive_mode = ${facts.archive_mode}${facts.archives ? ' with a command' : ''}`,
      hint: 'archive_mode is on and nothing archives, so pg_wal grows without end: set archive_command or archive_mode = off',
      backupGoesOn: true,
    }),
  ];
}

function advice(facts: Facts): SourceCheck[] {
  const bounded = facts.keep_mb >= 0;
  return [
    wanted('data checksums', true, {
      found: facts.checksums,
      hint: 'damaged pages go unnoticed: pg_checksums --enable while the server is stopped',
      advise: facts.checksums !== 'on',
    }),
    wanted('full_page_writes', true, {
      found: facts.full_page_writes,
      hint: 'a crash may leave torn pages: alter system set full_page_writes = on',
      advise: facts.full_page_writes !== 'on',
    }),
    wanted('max_slot_wal_keep_size', true, {
      found: bounded ? formatBytes(facts.keep_mb * 2 ** 20) : 'without limit',
      hint: 'WAL that nobody fetches may fill the disk: set max_slot_wal_keep_size to what the disk can spare',
      advise: !bounded,
    }),
    wanted('configuration files', true, {
      found: { true: 'outside of the data directory', false: 'in the data directory', null: 'unknown to this role' }[
        `${facts.config_outside}`
      ],
      hint: 'README.md, "Your own database", has the grants that put them into the backup',
      advise: facts.config_outside === null,
    }),
  ];
}

interface Says {
  found: string;
  hint: string;
  advise?: boolean;
  backupGoesOn?: true;
}

function wanted(name: string, ok: boolean, says: Says): SourceCheck {
  const { found, hint, advise = false, ...rest } = says;
  return { name, ok, found, ...(ok && !advise ? {} : { hint }), ...(ok ? {} : rest) };
}

/** The server's time lies between the moments we asked and heard; what is left beyond that is skew. */
async function checkClock(client: SqlClient, run: Run): Promise<SourceCheck[]> {
  const askedMs = run.clock.nowMs();
  const [row] = await query<{ ms: string }>(client, 'select extract(epoch from clock_timestamp()) * 1000 as ms');
  const heardMs = run.clock.nowMs();
  const serverMs = Number(row?.ms);
  const skewMs = serverMs < askedMs ? askedMs - serverMs : Math.max(0, serverMs - heardMs);
  const side = serverMs < askedMs ? 'behind' : 'ahead of';
  return [
    wanted('clock', skewMs <= MOST_SKEW_MS, {
      found: skewMs < 1 ? 'agrees with ours' : `${formatDuration(skewMs)} ${side} ours`,
      hint: "time targets are read by the server's clock: synchronise both with NTP",
    }),
  ];
}

/** Plans each probe without running it: a name that is missing shows now, not in the recovery. */
async function checkProbes(options: OneServer, run: Run): Promise<SourceCheck[]> {
  const checks: SourceCheck[] = [];
  for (const [index, probe] of options.probes.entries()) {
    checks.push(await checkProbe(options, { probe, name: `probe ${index + 1}`, run }));
  }
  return checks;
}

async function checkProbe(options: OneServer, what: { probe: Probe; name: string; run: Run }): Promise<SourceCheck> {
  const { probe, name, run } = what;
  const database = probe.database ?? options.connection.database;
  try {
    await withConnection(
      options.connection,
      { database, signal: run.signal, theirSearchPath: true },
      async (client) => {
        await query(client, 'begin read only');
        // A named statement is sent by itself: a second one hidden behind a semicolon is refused, not run.
        await client.query({ name: 'probe', text: `explain ${probe.sql}` });
      },
    );
    return { name, ok: true, found: `can be planned in ${database}` };
  } catch (error) {
    run.signal.throwIfAborted();
    const found = findFailure(error)?.message ?? (error as Error).message;
    if (sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) {
      return { name, ok: true, found, hint: 'the proof asks as superuser; grant select to have mistakes shown here' };
    }
    return { name, ok: false, found, hint: 'correct the probe', backupGoesOn: true };
  }
}
