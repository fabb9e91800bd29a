import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResumeFacts } from '../../activities/sources/postgres/wal/resume.ts';
import { durableBefore, resumePoint } from '../../activities/sources/postgres/wal/resume.ts';
import type { WalObject } from '../../workflows/model/wal.ts';

const SEGMENT = 16 << 20;

function object(startLsn: string, endLsn: string): WalObject {
  return { systemId: '1', timeline: 1, startLsn, endLsn, key: `${startLsn}-${endLsn}`, storedBytes: 1 };
}

function facts(stored: WalObject[], keptLsn?: string): ResumeFacts {
  const shared = { systemId: '1', serverTimeline: 1, histories: [], chunkBytes: SEGMENT, segmentBytes: SEGMENT };
  return { ...shared, stored, ...(keptLsn === undefined ? {} : { keptLsn }) };
}

const PIECES = [object('0/1000000', '0/2000000'), object('0/2000000', '0/2000500'), object('0/2000900', '0/3000100')];

test('streaming goes on at the hole that an overtaken upload left, while the slot keeps what was in it', () => {
  const resume = resumePoint(facts(PIECES, '0/2000500'));
  assert.deepEqual([resume?.startLsn, resume?.durableLsn], ['0/2000000', '0/2000500']);
  assert.deepEqual(resume?.pieces, PIECES.slice(1));
});

test('a hole before what the slot keeps is passed: nobody can fill it any more', () => {
  assert.equal(resumePoint(facts(PIECES, '0/2000A00'))?.durableLsn, '0/3000100');
  assert.equal(resumePoint(facts(PIECES, '0/9000000'))?.durableLsn, '0/3000100');
  assert.equal(resumePoint(facts(PIECES))?.durableLsn, '0/3000100');
});

test('a new slot tells nothing of what was durable: a hole within the newest spools is asked for, an older one is not', () => {
  const young = durableBefore(PIECES, SEGMENT);
  assert.equal(young, '0/2000500');
  assert.equal(resumePoint(facts(PIECES, young))?.durableLsn, '0/2000500');
  const far = [...PIECES, object('0/3000100', '0/5000000')];
  assert.equal(durableBefore(far, SEGMENT), '0/5000000');
  assert.equal(resumePoint(facts(far, durableBefore(far, SEGMENT)))?.durableLsn, '0/5000000');
  assert.equal(resumePoint(facts(far, durableBefore(far, 2 * SEGMENT)))?.durableLsn, '0/2000500');
  assert.equal(durableBefore([], SEGMENT), undefined);
});

test('a very first upload that was overtaken is asked for again', () => {
  const resume = resumePoint(facts([object('0/2000900', '0/3000100')], '0/2000100'));
  assert.deepEqual([resume?.startLsn, resume?.durableLsn], ['0/2000000', '0/2000000']);
});

test('an empty vault has no place to go on from', () => {
  assert.equal(resumePoint(facts([], '0/2000100')), undefined);
});
