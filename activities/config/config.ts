import type { RetentionPolicy } from '../../workflows/model/retention.ts';
import type { ServerWish } from '../../workflows/model/server-role.ts';
import type { Tells } from '../../workflows/model/severity.ts';
import type { ClusterFile } from './cluster-schema.ts';

/** A secret by reference; resolved as late as possible. Its value's string form is a placeholder. */
export type { SecretRef } from '../io/secret.ts';

/** The loaded, checked configuration. Durations in milliseconds, sizes in bytes, paths absolute. */
export interface Config {
  /** Absolute path of the file. */
  path: string;
  /** Tells the schedules of this configuration from those of another one in the same namespace. */
  name: string;
  temporal: {
    /** host:port */
    address: string;
    namespace: string;
    /** Address of the web UI, when the file names one. */
    ui?: string;
    /** Key file of the payload codec; absent = payloads are not encrypted. */
    encryptionKeyFile?: string;
  };
  keys: {
    root: { file: string };
    recovery?: { public: string };
    signing: { file: string };
    trusted: { file: string }[];
  };
  /** Options were checked by the store's own schema and their paths made absolute; `open` parses them. */
  stores: Record<string, { kind: string; options: unknown }>;
  notifiers: Record<string, NotifierConfig>;
  sources: Record<string, SourceConfig>;
  switches: Record<string, { kind: string; host?: string; options: unknown }>;
  services: Record<string, ServiceConfig>;
}

export interface NotifierConfig {
  kind: string;
  options: unknown;
  tells: Tells;
}

export interface ServiceConfig {
  source: string;
  /** Names of switches, in the order in which they are moved. */
  traffic: string[];
  /** Rising, per cent; the last is 100. */
  steps: number[];
  listen: string;
  address: string;
  approval: ApprovalConfig;
  /** Options of the kind's own schema, as for stores. */
  checks: { name: string; kind: string; options: unknown }[];
  cluster?: ClusterConfig;
}

/** As the schema has it, but for who has to agree. Durations in milliseconds, sizes in bytes, paths absolute. */
export interface ClusterConfig extends Omit<ClusterFile, 'approvals' | 'drill'> {
  drill: Omit<ClusterFile['drill'], 'schedule'> & { schedule?: ScheduleConfig };
  approvals: { planned?: ApprovalConfig; unplanned?: ApprovalConfig; breakGlass: ApprovalConfig };
}

export type NodeConfig = ClusterConfig['nodes'][string];

/** Who has to agree. */
export interface ApprovalConfig {
  of: number;
  from: string[];
  byAnother: boolean;
  withinMs: number;
}

export interface SourceConfig {
  kind: string;
  /** Its points are dumps: it has no WAL. */
  dumps?: true;
  store: string;
  /** Options of the source's own schema (connection, restore ...), as for stores. */
  options: unknown;
  backup: {
    level: number;
    checkpoint: 'fast' | 'spread';
    partBytes: number;
    parallel: number;
    /** Points that may stand on a full one, one on the other. */
    chainLimit: number;
    maxRateBytes?: number;
    /** Longest wait for a standby to replay what its primary had written. */
    standbyWaitMs?: number;
    /** Which server of the cluster sends it. */
    from?: ServerWish;
  };
  wal: {
    shipEveryMs: number;
    synchronous: boolean;
    heartbeatEveryMs: number;
    spoolBytes: number;
    slot: string;
    /** Several that bring the same, so that one may die; absent: one. */
    streams?: number;
    /** Names of the workers that stream, one for each; absent: any. */
    hosts?: string[];
    /** A hole orders a full backup by itself. */
    newBaseAfterHole: boolean;
    /** Which server of the cluster sends it. */
    from?: ServerWish;
    /** The server's archiver hands it over, instead of a stream. */
    archive?: { host: string; socket: string; socketMode: number };
    /** Where a worker gives it to servers of its host that recover. */
    fetch?: { socket: string; socketMode: number };
  };
  schedule: Partial<Record<ScheduleName, ScheduleConfig>>;
  /** Absent: nothing that was published is ever removed. */
  retention?: RetentionPolicy;
  objectives: { rtoMs?: number; rpoMs?: number };
  /** Before rows are written into it; absent: one other than who started it. */
  approval?: ApprovalConfig;
  /** Names of notifiers. */
  notify: string[];
  /** Who is told of a P1 that nobody acknowledges; delays rise, and count from when it was told first. */
  escalation?: { to: string; afterMs: number }[];
}

/** What can be scheduled: a full backup, two kinds of smaller ones, a drill, removing old ones, reading all, or all WAL. */
export const SCHEDULE_NAMES = [
  ...(['backup', 'incremental', 'differential', 'drill', 'retention'] as const),
  ...(['verify', 'walVerify'] as const),
] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

/** Cron is the five-field form of activities/config/cron.ts; timezone an IANA name. */
export type ScheduleConfig =
  { cron: string; timezone: string; paused?: boolean } | { everyMs: number; timezone: string; paused?: boolean };
