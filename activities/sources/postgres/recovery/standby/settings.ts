import { join } from 'node:path';
import type { RecoveryPlan } from '../../../../../workflows/model/recovery.ts';
import type { StandbyPlan } from '../../../../../workflows/model/standby.ts';
import type { Host } from '../../../../io/postgres/host.ts';
import type { ServerOptions, TlsOptions } from '../../../../io/postgres/options.ts';
import { tlsOf } from '../../../../io/postgres/options.ts';
import { resolveSecret } from '../../../../io/secret.ts';
import type { PostgresOptions } from '../../options.ts';
import type { Place } from '../place.ts';
import { replaceFile } from '../settings-file.ts';

interface StandbyUse {
  plan: RecoveryPlan;
  place: Place;
  options: PostgresOptions;
}

/** The primary of the plan, with what the source logs in with. */
export function upstreamOf({ plan, options }: Pick<StandbyUse, 'plan' | 'options'>): ServerOptions | undefined {
  const primary = plan.standby?.primary;
  return primary && { ...options.connection, ...primary };
}

/** What makes a standby of the copy, for as long as it is one (manual 26.2.4). */
export function standbySettings(use: StandbyUse): Record<string, string> {
  const { plan, place } = use;
  if (!plan.standby) return {};
  const { fetch, slot } = plan.standby;
  const upstream = upstreamOf(use);
  return {
    restore_command: restoreCommandOf(fetch),
    recovery_target_timeline: 'latest',
    hot_standby: 'on',
    ...(upstream ? { primary_conninfo: conninfo(upstream, place, plan.base.serverVersion) } : {}),
    ...(slot === undefined ? {} : { primary_slot_name: slot }),
  };
}

/** Only while it is proven: replay waits for who reads everything, rather than ending the reading. */
export const WHILE_PROVEN = { max_standby_archive_delay: '-1', max_standby_streaming_delay: '-1' };

/** The server puts the file and the path in the place of %f and %p, and a percent sign in that of two. */
export function restoreCommandOf(fetch: StandbyPlan['fetch']): string {
  return fetch.map((word) => (/^%[fp]$/.test(word) ? `"${word}"` : quoted(word).replaceAll('%', '%%'))).join(' ');
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Keywords and values (manual 34.1.1.1). The password stands in a file of its own: settings are shown to many. */
function conninfo(upstream: ServerOptions, place: Place, serverVersion: number): string {
  const { host, port, user, password } = upstream;
  const values: Record<string, string> = {
    ...{ host, port: String(port), user, connect_timeout: '10' },
    ...(password === undefined ? {} : { passfile: passfileOf(place) }),
    ...tlsValues(tlsOf(upstream), serverVersion),
  };
  const pairs = Object.entries(values).map(([name, value]) => `${name}='${value.replaceAll(/[\\']/g, '\\$&')}'`);
  return pairs.join(' ');
}

/** From this version on libpq takes the certificates of the system by this word. */
const SYSTEM_ROOTS_VERSION = 160_000;

function tlsValues({ mode, ca, cert, key }: TlsOptions, serverVersion: number): Record<string, string> {
  const root = ca ?? (mode === 'verify-full' && serverVersion >= SYSTEM_ROOTS_VERSION ? 'system' : undefined);
  return {
    sslmode: mode,
    ...(root === undefined ? {} : { sslrootcert: root }),
    ...(cert === undefined || key === undefined ? {} : { sslcert: cert, sslkey: key }),
  };
}

function passfileOf({ work }: Place): string {
  return join(work, 'primary.pass');
}

/** The password as it is now, for the server's user alone (manual 34.16). */
export async function writePassfile(use: StandbyUse & { host: Host }): Promise<void> {
  const password = upstreamOf(use)?.password;
  if (password === undefined) return;
  const text = resolveSecret(password, 'connection.password').reveal();
  await replaceFile(passfileOf(use.place), use.host, `*:*:*:*:${text.replaceAll(/[\\:]/g, '\\$&')}\n`);
}
