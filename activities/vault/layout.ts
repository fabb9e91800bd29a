import { formatLsn, lsnKey, parseLsn } from '../../workflows/model/lsn.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import type { ObjectStat } from '../stores/store.ts';

/** Where everything of one source stands in the store; docs/format.md "Layout". */
export interface Layout {
  keys: string;
  key(kek: KekId): string;
  points: string;
  parts(point: string): string;
  part(point: string, number: number): string;
  draft(point: string): string;
  manifest(point: string): string;
  hold(point: string): string;
  checked(point: string): string;
  use(name?: string): string;
  wal(systemId: string, timeline?: number): string;
  walObject(object: Omit<WalObject, 'key' | 'storedBytes'>): string;
  history(systemId: string, timeline?: number): string;
  /** What a server archives that is no WAL to replay. */
  walFile(systemId: string, name: string): string;
  report(name: string): string;
  epochs: string;
  epoch(epoch: number): string;
}

/** A key-encryption key: its retention scope ("shop-2026-11") and its version, from 1. */
export interface KekId {
  scope: string;
  version: number;
}

export function layoutOf(source: string): Layout {
  const points = `${source}/points/`;
  const keys = `${source}/keys/`;
  const epochs = `${source}/epochs/`;
  return {
    keys,
    epochs,
    epoch: (epoch) => `${epochs}${String(epoch).padStart(16, '0')}`,
    key: ({ scope, version }) => `${keys}${scope}.${version}.key`,
    points,
    parts: (point) => `${points}${point}/p`,
    part: (point, number) => `${points}${point}/p${String(number).padStart(6, '0')}`,
    draft: (point) => `${points}${point}/draft`,
    manifest: (point) => `${points}${point}/manifest`,
    hold: (point) => `${points}${point}/hold`,
    checked: (point) => `${points}${point}/checked`,
    use: (name = '') => `${source}/use/${name}`,
    wal: (systemId, timeline) => `${source}/wal/${systemId}/${timeline === undefined ? '' : `${hex8(timeline)}/`}`,
    walObject: (object) => {
      const range = `${lsnKey(parseLsn(object.startLsn))}-${lsnKey(parseLsn(object.endLsn))}`;
      const commit = object.lastCommitMicros === undefined ? '' : `-${object.lastCommitMicros}`;
      return `${source}/wal/${object.systemId}/${hex8(object.timeline)}/${range}${commit}`;
    },
    history: (systemId, timeline) =>
      `${source}/wal/${systemId}/history/${timeline === undefined ? '' : hex8(timeline)}`,
    walFile: (systemId, name) => `${source}/wal/${systemId}/files/${name}`,
    report: (name) => `${source}/reports/${name}`,
  };
}

/** Retention scope of what is written now: the source and the month, UTC. */
export function scopeOf(source: string, isoNow: string): string {
  return `${source}-${isoNow.slice(0, 7)}`;
}

/** Name of the key inside messages: "shop-2026-11/1". */
export function kekName(kek: KekId): string {
  return `${kek.scope}/${kek.version}`;
}

/** undefined for what is no key of this source. */
export function parseKekName(source: string, name: string): KekId | undefined {
  return parseKek(source, /^(.*-\d{4}-\d\d)\/([1-9]\d{0,8})$/.exec(name));
}

/** The same from a key file's place in the store. */
export function parseKekKey(source: string, key: string): KekId | undefined {
  return parseKek(source, /\/([^/]*-\d{4}-\d\d)\.([1-9]\d{0,8})\.key$/.exec(key));
}

function parseKek(source: string, match: RegExpExecArray | null): KekId | undefined {
  const [, scope = '', version = ''] = match ?? [];
  return scope.slice(0, -'-2026-11'.length) === source ? { scope, version: Number(version) } : undefined;
}

const WAL_KEY = /\/wal\/(\d+)\/([0-9a-f]{8})\/([0-9a-f]{16})-([0-9a-f]{16})(?:-(\d{1,16}))?$/;

/** What a WAL object's name says; undefined for any other key. */
export function parseWalKey(stat: ObjectStat): WalObject | undefined {
  const match = WAL_KEY.exec(stat.key);
  if (!match) return undefined;
  const [, systemId = '', timeline = '', start = '', end = '', commit] = match;
  if (end <= start) return undefined;
  return {
    systemId,
    timeline: Number.parseInt(timeline, 16),
    startLsn: formatLsn(BigInt(`0x${start}`)),
    endLsn: formatLsn(BigInt(`0x${end}`)),
    ...(commit === undefined ? {} : { lastCommitMicros: Number(commit) }),
    key: stat.key,
    storedBytes: stat.bytes,
  };
}

/** Timeline of a history object; undefined for any other key. */
export function parseHistoryKey(key: string): number | undefined {
  const timeline = /\/history\/([0-9a-f]{8})$/.exec(key)?.[1];
  return timeline === undefined ? undefined : Number.parseInt(timeline, 16);
}

/** The number of an epoch's object; undefined for any other key. */
export function parseEpochKey(key: string): number | undefined {
  const digits = /\/epochs\/(\d{16})$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
