import type { KeyRing } from '../vault/vault.ts';

/** A secret by reference; resolved as late as possible. Its value's string form is a placeholder. */
export type SecretRef = { env: string } | { file: string };

/** The loaded, checked configuration. Durations in milliseconds, sizes in bytes, paths absolute. */
export interface Config {
  /** Absolute path of the file. */
  path: string;
  temporal: { address: string; namespace: string; encryptionKeyFile?: string };
  keys: {
    root: { file: string };
    recovery?: { public: string };
    signing: { file: string };
    trusted: { file: string }[];
  };
  /** Options as the store's own schema parsed them. */
  stores: Record<string, { kind: string; options: unknown }>;
  notifiers: Record<string, { kind: string; options: unknown }>;
  sources: Record<string, SourceConfig>;
}

export interface SourceConfig {
  kind: string;
  store: string;
  /** Options of the source's own schema (connection, restore ...). */
  options: unknown;
  backup: { level: number; checkpoint: 'fast' | 'spread'; partBytes: number; parallel: number; maxRateBytes?: number };
  wal: { shipEveryMs: number; heartbeatEveryMs: number; spoolBytes: number; slot: string };
  schedule: { backup?: ScheduleConfig; drill?: ScheduleConfig };
  objectives: { rtoMs?: number; rpoMs?: number };
  notify: string[];
}

export type ScheduleConfig =
  { cron: string; timezone: string; paused?: boolean } | { everyMs: number; timezone: string; paused?: boolean };

export interface LoadedKeys {
  ring: KeyRing;
}
