import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32c } from '../../activities/io/crc32c.ts';
import type { Piece } from '../../activities/sources/postgres/backup/local/part-pieces.ts';
import { fill } from '../../activities/sources/postgres/backup/local/read-part.ts';
import type { ReadSaid } from '../../activities/sources/postgres/backup/local/read-part.ts';
import { checkManifest } from '../../activities/vault/manifest/check.ts';
import { MANIFEST_FORMAT } from '../../activities/vault/manifest/schema.ts';
import type { ForensicFacts } from '../../workflows/model/forensic.ts';
import { summariseForensic } from '../../workflows/model/forensic.ts';
import type { Manifest, PointSummary } from '../../workflows/model/manifest.ts';
import { planRetention } from '../../workflows/model/retention.ts';
import { samplePoint } from '../support/sample-report.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { factsFor } from '../support/vault.ts';

const PAGE = 4096;

/** Where a piece of this process's memory ends, behind which there is none: reading over it gives EIO, as a bad sector does. */
function edgeOfMemory(): number {
  const ranges = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) (r?)/.exec(line))
    .filter((match) => match !== null)
    .map(([, from = '', to = '', readable]) => ({ from: parseInt(from, 16), to: parseInt(to, 16), readable }));
  const edge = ranges.find(({ from, to, readable }, index) => {
    const next = ranges[index + 1];
    return readable === 'r' && to - from >= PAGE && next !== undefined && next.from >= to + 2 * PAGE;
  });
  assert.ok(edge);
  return edge.to;
}

function read(pieces: Piece[], more: { asFound?: true } = {}): { bytes: Buffer; said: ReadSaid } {
  const { bytes, said } = fill({ pieces, pageBytes: PAGE, ...more });
  return { bytes: Buffer.from(bytes), said };
}

test('what the disk does not give is zeros, told by its range, and all around it is read', () =>
  withTempDir(async (dir) => {
    const whole = join(dir, 'whole');
    writeFileSync(whole, 'x'.repeat(PAGE));
    const edge = edgeOfMemory();
    const pieces: Piece[] = [
      { path: '/proc/self/mem', position: edge - PAGE, bytes: 3 * PAGE },
      { path: join(dir, 'gone'), position: 8 * PAGE, bytes: 100 },
      { path: whole, position: 0, bytes: PAGE },
    ];
    const { bytes, said } = read(pieces, { asFound: true });
    assert.deepEqual(said.unread, [
      { piece: 0, from: edge, bytes: 2 * PAGE, reason: 'EIO' },
      { piece: 1, from: 8 * PAGE, bytes: 100, reason: 'ENOENT' },
    ]);
    assert.ok(bytes.subarray(PAGE, 3 * PAGE + 100).every((byte) => byte === 0));
    assert.equal(bytes.subarray(3 * PAGE + 100).toString(), 'x'.repeat(PAGE));
    assert.deepEqual(said.sums.slice(1), [crc32c(Buffer.alloc(100)), crc32c(readFileSync(whole))]);
    // A backup ends where a copy goes on.
    assert.throws(() => read(pieces.slice(0, 1)));
  }));

function manifestOf(changes: Partial<Manifest>): Manifest {
  const facts = factsFor([{ number: 1, bytes: 3, storedBytes: 9, sha256: '0'.repeat(64) }], [Buffer.from('abc')]);
  const at = { format: MANIFEST_FORMAT, source: 'shop', point: 'p1', kind: 'full', tool: 'test' } as const;
  return { ...at, ...facts, ...changes };
}

const FOUND: ForensicFacts = {
  directory: '/data',
  controlWrong: 'global/pg_control has a wrong checksum',
  unread: [
    { tree: 'base', path: 'base/5/7', from: 8192, bytes: 8192, reason: 'EIO' },
    { tree: '16400', path: 'PG_18_1', reason: 'EACCES' },
  ],
  unreadCount: 7,
};

test('a manifest is that of a forensic copy everywhere, or nowhere', () => {
  const rows: [Partial<Manifest>, RegExp | undefined][] = [
    [{ consistency: 'forensic', forensic: FOUND }, undefined],
    [{ consistency: 'forensic' }, /forensic copy/],
    [{ forensic: FOUND }, /forensic copy/],
    [{ consistency: 'forensic', forensic: FOUND, kind: 'incremental', parent: 'p0' }, /of kind incremental/],
    [{ consistency: 'forensic', forensic: { ...FOUND, unreadCount: -1 } }, /unreadCount/],
    [
      { consistency: 'forensic', forensic: { ...FOUND, changed: [{ tree: 'base', path: 'log' }], changedCount: 1 } },
      undefined,
    ],
    [{ consistency: 'forensic', forensic: { ...FOUND, changedCount: -1 } }, /changedCount/],
  ];
  for (const [changes, says] of rows) {
    const checked = checkManifest(manifestOf(changes), { source: 'shop', point: 'p1' });
    const wrong = 'wrong' in checked ? checked.wrong : undefined;
    if (says) assert.match(wrong ?? '', says);
    else assert.equal(wrong, undefined);
  }
});

test('what was found is told in words', () => {
  assert.deepEqual(summariseForensic(FOUND), {
    ...{ directory: '/data', state: 'global/pg_control has a wrong checksum', clean: false, unread: 7 },
    first: ['base/5/7, bytes 8192 to 16384: EIO', 'pg_tblspc/16400/PG_18_1: EACCES'],
  });
  const touched = { changed: [{ tree: 'base', path: 'log/a' }], changedCount: 12 };
  assert.match(summariseForensic({ ...FOUND, ...touched }).state, /; changed while it was copied: 12 \(log\/a\)$/);
});

test('retention: evidence stays in the window, the newest and the held for good, and lets no backup go', () => {
  const at = (point: string, day: number, forensic = false): PointSummary => ({
    ...{ ...samplePoint(), point, stoppedAt: new Date(Date.UTC(2026, 0, day)).toISOString() },
    ...(forensic ? { forensic: summariseForensic(FOUND) } : {}),
  });
  const facts = {
    points: [at('b1', 1), at('b30', 30)],
    forensic: [at('old', 2, true), at('held', 3, true), at('read', 4, true), at('young', 29, true)],
    ...{ objects: [], histories: [], uses: [{ points: ['read'], wal: true, by: 'extract/shop' }] },
    marks: new Map([['held', { held: { reason: 'case 12', at: '2026-01-03T00:00:00Z' } }]]),
    policy: { windowMs: 5 * 86_400_000, fulls: 1, daily: 30, weekly: 0, monthly: 0, quarterly: 0, annual: 0 },
    nowMicros: Date.UTC(2026, 0, 30) * 1000,
  };
  const without = planRetention({ ...facts, forensic: [], uses: [] });
  const { keep, remove, wal } = planRetention(facts);
  assert.deepEqual(remove.map(({ point }) => point), [...without.remove.map(({ point }) => point), 'old']); // prettier-ignore
  assert.deepEqual(keep.map(({ point }) => point), [...without.keep.map(({ point }) => point), 'held', 'read', 'young']); // prettier-ignore
  assert.deepEqual(wal, without.wal);
  // Beyond the window the newest stays all the same.
  const { keep: later } = planRetention({ ...facts, forensic: [at('only', 2, true)] });
  assert.deepEqual(later.at(-1), { point: 'only', why: ['the newest forensic copy'] });
});
