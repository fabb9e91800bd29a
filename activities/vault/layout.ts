import { lsnKey, parseLsn, formatLsn } from '../../workflows/model/lsn.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import type { ObjectStat } from '../stores/store.ts';

/** Where everything of one source stands in the store; docs/format.md "Layout". */
export interface Layout {
  key(scope: string): string;
  points: string;
  part(point: string, number: number): string;
  draft(point: string): string;
  manifest(point: string): string;
  wal(systemId: string, timeline?: number): string;
  walObject(object: Omit<WalObject, 'key' | 'storedBytes'>): string;
  history(systemId: string, timeline?: number): string;
  report(name: string): string;
}

export function layoutOf(source: string): Layout {
  const points = `${source}/points/`;
  return {
    key: (scope) => `${source}/keys/${scope}.key`,
    points,
    part: (point, number) => `${points}${point}/p${String(number).padStart(6, '0')}`,
    draft: (point) => `${points}${point}/draft`,
    manifest: (point) => `${points}${point}/manifest`,
    wal: (systemId, timeline) => `${source}/wal/${systemId}/${timeline === undefined ? '' : `${hex8(timeline)}/`}`,
    walObject: (object) => {
      const range = `${lsnKey(parseLsn(object.startLsn))}-${lsnKey(parseLsn(object.endLsn))}`;
      const commit = object.lastCommitMicros === undefined ? '' : `-${object.lastCommitMicros}`;
      return `${source}/wal/${object.systemId}/${hex8(object.timeline)}/${range}${commit}`;
    },
    history: (systemId, timeline) =>
      `${source}/wal/${systemId}/history/${timeline === undefined ? '' : hex8(timeline)}`,
    report: (name) => `${source}/reports/${name}`,
  };
}

const WAL_KEY = /\/wal\/(\d+)\/([0-9a-f]{8})\/([0-9a-f]{16})-([0-9a-f]{16})(?:-(\d+))?$/;

/** What a WAL object's name says; undefined for any other key. */
export function parseWalKey(stat: ObjectStat): WalObject | undefined {
  const match = WAL_KEY.exec(stat.key);
  if (!match) return undefined;
  const [, systemId = '', timeline = '', start = '', end = '', commit] = match;
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

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
