import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { Report } from '../../workflows/model/report.ts';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 5, 3, 0, 0) + second * 1000).toISOString();

export function samplePoint(): PointSummary {
  return {
    point: '20260105T030004Z-1a2b3c4d-1',
    source: 'shop',
    kind: 'full',
    systemId: '7312345678901234567',
    serverVersion: 180004,
    timeline: 1,
    segmentBytes: 16 * 1024 * 1024,
    startLsn: '0/3000028',
    stopLsn: '0/3000158',
    startedAt: at(4),
    stoppedAt: at(7),
    bytes: 40_000_000,
    storedBytes: 4_200_000,
    parts: 3,
    files: 1200,
    tool: '0.1.0',
  };
}

export function sampleResult(): RestoreResult {
  const base = samplePoint();
  return {
    plan: {
      ...{
        run: 'restore/shop',
        source: 'shop',
        host: 'db1',
        base,
        timelineChoice: 'latest',
        timeline: 1,
        action: 'promote',
      },
      target: { kind: 'time', time: at(14), inclusive: false },
      legs: [{ timeline: 1, fromLsn: '0/3000000', toLsn: '0/5000000' }],
      into: '/srv/restore/shop',
      port: 5433,
      tablespaces: {},
      settings: { max_connections: '100' },
      estimate: { fetchBytes: 40_000_000, storedBytes: 4_200_000, walBytes: 33_554_432, seconds: 8 },
      window: { point: base.point, timeline: 1, fromLsn: '0/3000158', toLsn: '0/5000000', from: at(7), to: at(15) },
      decidedAt: at(16),
    },
    phases: { find: 120, fetch: 3100, replay: 2400, open: 300, prove: 1500 },
    rtoMs: 7420,
    rtoObjectiveMs: 3_600_000,
    fetch: { parts: 3, bytes: 40_000_000, storedBytes: 4_200_000, resumedParts: 1, files: 1200 },
    replay: {
      ...{ consistentAt: '0/3000158', stopReason: 'recovery stopping before commit of transaction 912' },
      ...{ stoppedAtLsn: '0/4A00120', lastCommitAt: at(13.9), walBytes: 30_000_000, segments: 2, timeline: 1 },
    },
    open: { host: '127.0.0.1', port: 5433, dataDirectory: '/srv/restore/shop', pid: 4242, state: 'open', timeline: 2 },
    proof: {
      ok: true,
      checks: [{ name: 'consistent state', ok: true, expected: 'reached', found: 'reached at 0/3000158' }],
      relations: 350,
      rows: 12_000,
      behindTargetMs: 100,
    },
  };
}

export function sampleReport(): Report {
  const result = sampleResult();
  return {
    format: 'lifeboat-report/1',
    kind: 'drill',
    title: 'Recovery of shop',
    source: 'shop',
    run: 'restore/shop',
    outcome: 'proven',
    startedAt: at(0),
    finishedAt: at(26),
    result,
    rpoMs: 100,
    rpoObjectiveMs: 300_000,
    oracle: { acknowledged: 900, found: 900, extra: 0 },
    events: [
      { at: at(0), lane: 'orders', what: 'load starts', tone: 'work' },
      { at: at(14), lane: 'orders', what: 'DELETE without WHERE', tone: 'bad' },
      { at: at(18), lane: 'recovery', what: 'worker killed', tone: 'bad' },
      { at: at(25), lane: 'recovery', what: 'proven', tone: 'good' },
    ],
    spans: [
      { lane: 'vault', label: 'base backup', from: at(4), to: at(7), tone: 'work' },
      { lane: 'recovery', label: 'fetch', from: at(16), to: at(19), tone: 'work' },
      { lane: 'recovery', label: 'replay', from: at(19), to: at(22), tone: 'wait' },
      { lane: 'recovery', label: 'prove', from: at(22), to: at(25), tone: 'good' },
    ],
    series: [
      {
        lane: 'orders',
        label: 'orders acknowledged per second',
        points: [0, 3, 6, 9, 12, 14].map((s) => ({ at: at(s), value: 60 + s })),
      },
    ],
    links: [{ label: 'this run in the Temporal UI', url: 'http://127.0.0.1:8233/' }],
  };
}
