import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import type { Place } from './place.ts';

/** What the server that runs now says; those of earlier starts have a number behind it. */
export const SERVER_LOG = 'server.json';

interface LogLine {
  error_severity?: string;
  message?: string;
  state_code?: string;
  detail?: string;
  backend_type?: string;
}

/** What the server itself says of its recovery: lines of its JSON log (manual 19.8.4), written with lc_messages = C. */
export interface RecoveryLog {
  consistentAt?: Lsn;
  /** "recovery stopping ..." as logged, or "end of WAL". */
  stopReason?: string;
  /** First FATAL or PANIC since the last start. */
  fatal?: string;
  /** Its SQLSTATE. */
  fatalState?: string;
  /** A setting is too low for the WAL: replay waits, or before it was consistent, ended. */
  insufficient?: { says: string; needed: Record<string, string> };
  /** Start of the last record that was replayed. */
  redoneTo?: Lsn;
  /** Why a standby lost, or did not get, its stream the last time; it tries again. */
  streamTrouble?: string;
}

export async function readRecoveryLog(place: Place): Promise<RecoveryLog> {
  const log: RecoveryLog = {};
  for await (const line of linesOf(join(place.log, SERVER_LOG))) note(log, parse(line));
  return log;
}

/** Lines of a log that may be larger than memory; none when it is not there. */
export async function* linesOf(path: string): AsyncIterable<string> {
  const file = await open(path).catch(() => undefined);
  if (!file) return;
  try {
    for await (const line of file.readLines({ autoClose: false })) yield line;
  } finally {
    await file.close();
  }
}

/** Whether replay came to its target: a pause alone may be a person's, or that of a setting that is too low. */
export function hasStopped(log: RecoveryLog): boolean {
  return log.stopReason !== undefined;
}

const STARTUP_LINES = 4;

/** What the server printed before it could open its log. */
export async function readStartupErrors(place: Place): Promise<string> {
  const text = await readFile(join(place.log, 'stderr'), 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-STARTUP_LINES).join('; ');
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // The last line may be half written.
    return {};
  }
}

/** A session that came too early is told so with FATAL; that is no failure of the recovery. */
const OF_SESSIONS = /^(the database system is|terminating|password authentication|no pg_hba)/;

function note(log: RecoveryLog, line: LogLine): void {
  const { message = '', detail } = line;
  const consistent = /^consistent recovery state reached at ([0-9A-F]+\/[0-9A-F]+)/.exec(message)?.[1];
  if (consistent !== undefined) log.consistentAt = consistent;
  if (message.startsWith('recovery stopping')) log.stopReason = message;
  const redone = /^redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(message)?.[1];
  if (redone !== undefined) {
    log.stopReason ??= 'end of WAL';
    log.redoneTo = redone;
  }
  if (message.includes('insufficient parameter settings')) log.insufficient = insufficient(detail ?? message);
  // It ends with FATAL, and nobody else does.
  if (line.backend_type === 'walreceiver') noteStream(log, line);
  else noteEnd(log, line);
}

function noteStream(log: RecoveryLog, line: LogLine): void {
  const { message = '' } = line;
  if (isFatal(line)) log.streamTrouble = message;
  else if (message.startsWith('started streaming')) delete log.streamTrouble;
}

/** Why it ended; what the others say once one of them has ended only follows from it. */
function noteEnd(log: RecoveryLog, line: LogLine): void {
  const { message = '' } = line;
  if (message.startsWith('starting PostgreSQL')) {
    delete log.fatal;
    delete log.fatalState;
    delete log.insufficient;
    // It recovers once more, unless it had come to the end.
    if (log.redoneTo === undefined) delete log.stopReason;
  }
  if (isFatal(line) && log.fatal === undefined) {
    log.fatal = message;
    if (line.state_code !== undefined) log.fatalState = line.state_code;
  }
}

/** "max_connections = 20 is a lower setting than on the primary server, where its value was 40." (xlogrecovery.c) */
function insufficient(says: string): NonNullable<RecoveryLog['insufficient']> {
  const [, name, value] = /^(\w+) = \d+ is a lower setting than .* was (\d+)/.exec(says) ?? [];
  return { says, needed: name === undefined || value === undefined ? {} : { [name]: value } };
}

function isFatal({ error_severity: severity, message = '' }: LogLine): boolean {
  return (severity === 'FATAL' || severity === 'PANIC') && !OF_SESSIONS.test(message);
}
