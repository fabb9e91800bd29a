import { readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasHollow } from '../../../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { PostgresOptions } from '../options.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { settingLine } from '../../../io/postgres/setting-line.ts';
import type { Place } from './place.ts';
import { replaceFile } from './settings-file.ts';
import { standbySettings, WHILE_PROVEN } from './standby/settings.ts';

/** Settings a standby or recovering server must have at least as high as the source had (manual 26.4.3). */
const RAISED = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];
const BEGIN = '# lifeboat recovery: begin';
const END = '# lifeboat recovery: end';
const HBA_MARK = '# lifeboat recovery: our own socket, in a folder only this user may enter';

export interface SettingsUse {
  plan: RecoveryPlan;
  place: Place;
  host: Host;
  options: PostgresOptions;
  segmentBytes: number;
}

/**
 * What keeps a copy from acting as its source: no archiving, no cleaning of the archive, no streaming, no subscriptions
 * (they would take over the source's slots), no waiting for its standbys or its delay, loopback only.
 */
async function isolation(use: SettingsUse): Promise<Record<string, string>> {
  const { plan, place } = use;
  const raised = Object.fromEntries(
    RAISED.flatMap((name) => (plan.settings[name] === undefined ? [] : [[name, plan.settings[name]]])),
  );
  return {
    ...raised,
    archive_mode: 'off',
    archive_command: '',
    archive_library: '',
    archive_cleanup_command: '',
    recovery_end_command: '',
    recovery_min_apply_delay: '0',
    max_logical_replication_workers: '0',
    primary_conninfo: '',
    primary_slot_name: '',
    synchronous_standby_names: '',
    external_pid_file: '',
    hba_file: join(place.data, 'pg_hba.conf'),
    ident_file: join(place.data, 'pg_ident.conf'),
    listen_addresses: plan.listen ?? '127.0.0.1',
    port: String(plan.port),
    unix_socket_directories: place.socket,
    ssl: 'off',
    ...use.options.restore.settings,
    // Nothing is to be cleaned up where there is nothing.
    ...(hasHollow(plan) ? { autovacuum: 'off' } : {}),
    ...(await readRaised(place)),
    ...standbySettings(use),
  };
}

/** What holds only until the target is reached and proven. */
function recovery(use: SettingsUse): Record<string, string> {
  const { plan, place } = use;
  const ends = { recovery_target_timeline: String(plan.timeline), recovery_target_action: 'pause' };
  return {
    restore_command: `'${place.restoreCommand.replaceAll('%', '%%')}' %f %p`,
    ...(plan.standby ? { ...WHILE_PROVEN, wal_retrieve_retry_interval: '500ms' } : ends),
    ...targetSettings(plan),
    // What WAL changes in a database without content is passed over; the log is looked through for any other.
    ...(hasHollow(plan) ? { ignore_invalid_pages: 'on' } : {}),
    hot_standby: 'on',
    logging_collector: 'on',
    log_destination: 'jsonlog',
    log_directory: place.log,
    log_filename: 'server',
    log_file_mode: '0600',
    log_rotation_age: '0',
    log_rotation_size: '0',
    log_min_messages: 'warning',
    lc_messages: 'C',
    log_timezone: 'UTC',
  };
}

function targetSettings(plan: RecoveryPlan): Record<string, string> {
  const { target } = plan;
  switch (target.kind) {
    case 'time':
      return { recovery_target_time: numericOffset(target.time), recovery_target_inclusive: onOff(target.inclusive) };
    case 'lsn':
      return { recovery_target_lsn: target.lsn, recovery_target_inclusive: onOff(target.inclusive) };
    case 'xid':
      return { recovery_target_xid: target.xid, recovery_target_inclusive: onOff(target.inclusive) };
    case 'name':
      return { recovery_target_name: target.name };
    case 'immediate':
      return { recovery_target: 'immediate' };
    case 'latest':
      return {};
  }
}

/** The server reads this setting before it knows any abbreviation of a time zone, "Z" among them. */
function numericOffset(time: string): string {
  return time.replace('T', ' ').replace(/Z$/i, '+00:00');
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}

/** Left over from an earlier recovery of the source itself: a second target, even an empty one, is refused by the server. */
const LEFT_OVER = /^\s*(recovery_target\w*|restore_command)\s*=/;

/** Writes the settings of a recovery; a repeat writes the same. */
export async function writeRecoverySettings(use: SettingsUse): Promise<void> {
  const { place, host } = use;
  await writeSettings(use, { ...(await isolation(use)), ...recovery(use) });
  await dropLeftOver(place, host);
  for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) await makeIfAbsent(place, host, name);
  await allowOwnSocket(place, host);
}

/** The same, but WAL of the vault comes as it will when we are gone. */
export async function writeFollowingSettings(use: SettingsUse): Promise<void> {
  await writeSettings(use, { ...(await isolation(use)), ...recovery(use), ...standbySettings(use) });
}

/** Leaves the settings that isolate the copy, and takes away those of the recovery. */
export async function clearRecoverySettings(use: SettingsUse): Promise<void> {
  await writeSettings(use, await isolation(use));
  const hba = join(use.place.data, 'pg_hba.conf');
  const lines = (await readFile(hba, 'utf8')).split('\n');
  const mark = lines.indexOf(HBA_MARK);
  if (mark >= 0) await replaceFile(hba, use.host, lines.toSpliced(mark, 2).join('\n'));
}

/** postgresql.auto.conf is read last and so wins; our block stands at its end (manual 19.1.2). */
async function writeSettings(use: SettingsUse, settings: Record<string, string>): Promise<void> {
  const path = join(use.place.data, 'postgresql.auto.conf');
  const before = await readFile(path, 'utf8').catch(() => '');
  const theirs = before.includes(BEGIN) ? before.slice(0, before.indexOf(BEGIN)) : before;
  const kept = withoutLeftOver(theirs);
  const lines = Object.entries(settings).map(([name, value]) => settingLine(name, value));
  await replaceFile(path, use.host, `${kept.trimEnd()}\n${BEGIN}\n${lines.join('\n')}\n${END}\n`);
}

function withoutLeftOver(text: string): string {
  return text
    .split('\n')
    .filter((line) => !LEFT_OVER.test(line))
    .join('\n');
}

/** A target in the file that is read first counts as a second one, whatever ours says. */
async function dropLeftOver(place: Place, host: Host): Promise<void> {
  const path = join(place.data, 'postgresql.conf');
  const text = await readFile(path, 'utf8').catch(() => '');
  const kept = withoutLeftOver(text);
  if (kept !== text) await replaceFile(path, host, kept);
}

/** Keeps `needed` for every later start; false when it was given already and so is not what the server lacks. */
export async function raiseSettings(place: Place, needed: Record<string, string>): Promise<boolean> {
  const before = await readRaised(place);
  const gained = Object.entries(needed).some(([name, value]) => Number(before[name] ?? 0) < Number(value));
  if (!gained) return false;
  await writeFile(`${place.raised}.new`, JSON.stringify({ ...before, ...needed }));
  await rename(`${place.raised}.new`, place.raised);
  return true;
}

async function readRaised(place: Place): Promise<Record<string, string>> {
  if (!existsSync(place.raised)) return {};
  return JSON.parse(await readFile(place.raised, 'utf8')) as Record<string, string>;
}

async function makeIfAbsent(place: Place, host: Host, name: string): Promise<void> {
  const path = join(place.data, name);
  // Where the configuration stands outside of the data directory, it is not in the backup.
  if (!existsSync(path))
    await replaceFile(path, host, name === 'pg_hba.conf' ? 'host all all 127.0.0.1/32 scram-sha-256\n' : '');
}

async function allowOwnSocket(place: Place, host: Host): Promise<void> {
  const path = join(place.data, 'pg_hba.conf');
  const text = await readFile(path, 'utf8');
  if (!text.includes(HBA_MARK)) await replaceFile(path, host, `${HBA_MARK}\nlocal all all trust\n${text}`);
}
