import { createHash } from 'node:crypto';
import type { ApprovalConfig, ClusterConfig, Config, ScheduleConfig, ServiceConfig, SourceConfig } from './config.ts';
import type { ClusterFile } from './cluster-schema.ts';
import type { ScheduleFile } from './schedule-schema.ts';
import { SCHEDULE_NAMES } from './config.ts';
import { slotOf } from './cross-checks.ts';
import { isDumped, usualOf } from './registries.ts';
import type { CheckedFile } from './read.ts';
import type { ConfigFile } from './schema.ts';
import { sourceShape } from './schema.ts';
import type { Environment } from './temporal.ts';
import { temporalPlace } from './temporal.ts';
import { isMapping, memberOf } from './walk.ts';
import { USUAL_CHECK } from '../checks/index.ts';
import { checkShape } from './service-schema.ts';
import { tellsOf } from '../../workflows/model/severity.ts';
import { notifierShape } from './notifier-schema.ts';

type SourceFile = ConfigFile['sources'][string];

/** The file as the product uses it: defaults filled in, the environment applied, options apart from what is ours. */
export function assembleConfig(file: CheckedFile, environment: Environment): Config {
  const { parsed, path } = file;
  const place = temporalPlace(parsed.temporal, environment);
  return {
    path,
    name: parsed.name ?? fallbackName(path),
    temporal: {
      address: place.address.value,
      namespace: place.namespace.value,
      ...(parsed.temporal.ui === undefined ? {} : { ui: parsed.temporal.ui }),
      ...(parsed.temporal.encryptionKey ? { encryptionKeyFile: parsed.temporal.encryptionKey.file } : {}),
    },
    keys: {
      root: parsed.keys.root,
      signing: parsed.keys.signing,
      trusted: parsed.keys.trusted,
      ...(parsed.keys.recovery ? { recovery: parsed.keys.recovery } : {}),
    },
    stores: kinds(parsed.stores, memberOf(file.data, 'stores')),
    notifiers: notifiersOf(parsed.notifiers, memberOf(file.data, 'notifiers')),
    sources: Object.fromEntries(
      Object.entries(parsed.sources).map(([name, source]) => [
        name,
        sourceOf(name, source, optionsOf(memberOf(memberOf(file.data, 'sources'), name), OURS)),
      ]),
    ),
    switches: switchesOf(parsed.switches, memberOf(file.data, 'switches')),
    services: Object.fromEntries(
      Object.entries(parsed.services).map(([name, service]) => [
        name,
        serviceOf(service, memberOf(memberOf(file.data, 'services'), name)),
      ]),
    ),
  };
}

function serviceOf({ cluster, checks, ...service }: ConfigFile['services'][string], data: unknown): ServiceConfig {
  const given = memberOf(data, 'checks');
  return {
    ...{ ...service, approval: approvalOf(service.approval) },
    checks: checks.map(({ name, kind = USUAL_CHECK }, index) => ({
      ...{ name, kind, options: optionsOf(memberOf(given, index), OF_CHECKS) },
    })),
    ...(cluster ? { cluster: clusterOf(cluster) } : {}),
  };
}

function clusterOf({ approvals, drill, ...cluster }: ClusterFile): ClusterConfig {
  const { planned, unplanned, breakGlass } = approvals;
  const { schedule, ...how } = drill;
  return {
    ...cluster,
    drill: { ...how, ...(schedule ? { schedule: scheduleOf(schedule) } : {}) },
    approvals: {
      ...(planned ? { planned: approvalOf(planned) } : {}),
      ...(unplanned ? { unplanned: approvalOf(unplanned) } : {}),
      breakGlass: approvalOf(breakGlass),
    },
  };
}

const OF_CHECKS = ['kind', ...Object.keys(checkShape)];

function switchesOf(parsed: ConfigFile['switches'], data: unknown): Config['switches'] {
  const entries = Object.entries(parsed).map(([name, { kind, host }]) => [
    name,
    { kind, ...(host === undefined ? {} : { host }), options: optionsOf(memberOf(data, name), ['kind', 'host']) },
  ]);
  return Object.fromEntries(entries) as Config['switches'];
}

const OF_NOTIFIERS = ['kind', ...Object.keys(notifierShape)];

function notifiersOf(parsed: ConfigFile['notifiers'], data: unknown): Config['notifiers'] {
  const entries = Object.entries(parsed).map(([name, { kind, severities, after }]) => [
    name,
    {
      ...{ kind, options: optionsOf(memberOf(data, name), OF_NOTIFIERS) },
      tells: tellsOf(usualOf(kind), { severities, after: withoutGaps(after) }),
    },
  ]);
  return Object.fromEntries(entries) as Config['notifiers'];
}

function withoutGaps<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}

/** A file without a name is told from others by where it stands. */
function fallbackName(path: string): string {
  return `file-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`;
}

function kinds(parsed: Record<string, { kind: string }>, data: unknown): Config['stores'] {
  const entries = Object.entries(parsed).map(([name, { kind }]) => [
    name,
    { kind, options: optionsOf(memberOf(data, name), ['kind']) },
  ]);
  return Object.fromEntries(entries) as Config['stores'];
}

const OURS = ['kind', ...Object.keys(sourceShape)];

/** The kind's own part, as written: its schema is applied where it is opened. */
function optionsOf(data: unknown, ours: readonly string[]): unknown {
  const entries = isMapping(data) ? Object.entries(data) : [];
  return Object.fromEntries(entries.filter(([key]) => !ours.includes(key)));
}

function sourceOf(name: string, source: SourceFile, options: unknown): SourceConfig {
  const { level, checkpoint, partSize, parallel, chainLimit, maxRate, from, standbyWait } = source.backup;
  const { rto, rpo } = source.objectives;
  return {
    kind: source.kind,
    ...(isDumped(source.kind) ? { dumps: true } : {}),
    store: source.store,
    options,
    backup: {
      ...{ level, checkpoint, partBytes: partSize, parallel, chainLimit, standbyWaitMs: standbyWait },
      ...(maxRate === undefined ? {} : { maxRateBytes: maxRate }),
      ...(from === undefined ? {} : { from }),
    },
    wal: {
      shipEveryMs: source.wal.shipEvery,
      synchronous: source.wal.synchronous,
      heartbeatEveryMs: source.wal.heartbeatEvery,
      spoolBytes: source.wal.spool,
      slot: slotOf(name, source.wal.slot),
      newBaseAfterHole: source.wal.newBaseAfterHole,
      ...(source.wal.from === undefined ? {} : { from: source.wal.from }),
      ...(source.wal.streams === 1 ? {} : { streams: source.wal.streams }),
      ...(source.wal.hosts === undefined ? {} : { hosts: source.wal.hosts }),
      ...archiveOf(source.wal),
      ...fetchOf(source.wal),
    },
    schedule: Object.fromEntries(
      SCHEDULE_NAMES.flatMap((each) => {
        const at = source.schedule[each];
        return at ? [[each, scheduleOf(at)]] : [];
      }),
    ),
    ...(source.retention ? { retention: retentionOf(source.retention) } : {}),
    objectives: { ...(rto === undefined ? {} : { rtoMs: rto }), ...(rpo === undefined ? {} : { rpoMs: rpo }) },
    approval: approvalOf(source.approval),
    notify: source.notify,
    ...(source.escalation.length > 0
      ? { escalation: source.escalation.map(({ to, after }) => ({ to, afterMs: after })) }
      : {}),
  };
}

function approvalOf({ within, ...approval }: SourceFile['approval']): ApprovalConfig {
  return { ...approval, withinMs: within };
}

/** What is lacking was told by then. */
function archiveOf(wal: SourceFile['wal']): Pick<SourceConfig['wal'], 'archive'> {
  const { receive, host = '', socket = '', socketMode } = wal;
  return receive === 'archive' ? { archive: { host, socket, socketMode: Number.parseInt(socketMode, 8) } } : {};
}

function fetchOf({ fetchSocket, socketMode }: SourceFile['wal']): Pick<SourceConfig['wal'], 'fetch'> {
  if (fetchSocket === undefined) return {};
  return { fetch: { socket: fetchSocket, socketMode: Number.parseInt(socketMode, 8) } };
}

function retentionOf({
  window,
  ...counts
}: NonNullable<SourceFile['retention']>): NonNullable<SourceConfig['retention']> {
  return { windowMs: window, ...counts };
}

function scheduleOf(file: ScheduleFile): ScheduleConfig {
  const shared = { timezone: file.timezone, ...(file.paused === undefined ? {} : { paused: file.paused }) };
  return file.cron === undefined ? { everyMs: file.every ?? 0, ...shared } : { cron: file.cron, ...shared };
}
