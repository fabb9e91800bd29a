import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { OldNode, PageDigests, RejoinChoice, WalTrace } from '../../workflows/model/rejoin.ts';
import { chooseRejoin, compareContent, forkOf, lineUpTo, sharedEnd } from '../../workflows/model/rejoin-choice.ts';
import type { TimelineSwitch } from '../../workflows/model/wal.ts';

const FORK = '0/5000100';
const left = (timeline: number, switchLsn: string): TimelineSwitch => ({ timeline, switchLsn, reason: '' });
const digests = (...pages: string[]): PageDigests => ({ fromLsn: '0/5000000', toLsn: FORK, pages });
const SAME = digests('aa', 'bb');

/** The primary left timeline 1 at FORK. */
const NOW: WalTrace = {
  ...{ systemId: '7', major: 18, timeline: 2, ancestors: [left(1, FORK)], lsn: '0/6000000' },
  digests: SAME,
};

/** Stopped in good order exactly there. */
const OLD: OldNode = {
  ...{
    systemId: '7',
    major: 18,
    state: 'shut down',
    timeline: 1,
    ancestors: [],
    endLsn: FORK,
    walFromLsn: '0/4000000',
  },
  ...{ rewindable: true, segmentBytes: 16_777_216, interrupted: false, digests: SAME },
};

const AHEAD = { endLsn: '0/5000800' };

test('the choice: every row of how an old primary may have ended', () => {
  const without = <K extends keyof OldNode>(...keys: K[]): Partial<OldNode> =>
    Object.fromEntries(keys.map((key) => [key, undefined])) as Partial<OldNode>;
  const rows: [string, Partial<OldNode>, Partial<WalTrace>, RejoinChoice['path'], Partial<RejoinChoice>, RegExp][] = [
    ['ended at the fork', {}, {}, 'follow', { forkLsn: FORK }, /ends at 0\/5000100/],
    ['ended before it', { endLsn: '0/5000080' }, {}, 'follow', { forkLsn: FORK }, /ends at/],
    ['crashed before it', { endLsn: '0/5000080', state: 'in production' }, {}, 'follow', {}, /ends at/],
    ['went on', AHEAD, {}, 'rewind', { forkLsn: FORK, salvageFromLsn: FORK }, /went on from 0\/5000100 to 0\/5000800/],
    ['went on, crashed', { ...AHEAD, state: 'in production' }, {}, 'rewind', { salvageFromLsn: FORK }, /went on/],
    ['no checksums and no hints', { ...AHEAD, rewindable: false }, {}, 'reseed', { salvageFromLsn: FORK }, /checksums/],
    ['no WAL of the fork', { ...AHEAD, walFromLsn: '0/5000200' }, {}, 'reseed', { salvageFromLsn: FORK }, /no WAL of/],
    ['no WAL', { ...AHEAD, ...without('walFromLsn') }, {}, 'reseed', { salvageFromLsn: FORK, untold: undefined as never }, /no WAL of/], // prettier-ignore
    ['no WAL at all', without('walFromLsn', 'endLsn', 'digests'), {}, 'reseed', { salvageFromLsn: undefined as never, untold: true }, /cannot be followed/], // prettier-ignore
    ['a rewind that was cut', { interrupted: true }, {}, 'reseed', {}, /begun and did not/],
    ['another major version', { ...AHEAD, major: 17 }, {}, 'reseed', { salvageFromLsn: FORK }, /PostgreSQL 17/],
    ['WAL without an end', without('endLsn'), {}, 'reseed', { salvageFromLsn: '0/4000000' }, /cannot be followed/],
    [
      'the primary has it no more',
      AHEAD,
      { digests: undefined as never },
      'reseed',
      { salvageFromLsn: '0/4000000' },
      /no WAL of where/,
    ],
    [
      ...(['two on timeline 1, then a promotion', AHEAD, { digests: digests('aa', 'cc') }, 'reseed'] as const),
      ...([{ salvageFromLsn: '0/5002000' }, /under one number/] as const),
    ],
    [
      ...(['two on one timeline', { ...AHEAD, ...onTwo() }, { digests: digests('cc', 'cc') }, 'reseed'] as const),
      ...([{ salvageFromLsn: '0/4000000' }, /under one number/] as const),
    ],
    [
      'ahead on one timeline',
      { ...onTwo(), endLsn: '0/6000100' },
      {},
      'reseed',
      { salvageFromLsn: '0/6000000' },
      /ahead of the primary/,
    ],
    ['behind on one timeline', { ...onTwo(), endLsn: '0/5FF0000' }, {}, 'follow', {}, /ends at/],
    [
      'two promotions to one number',
      { ...AHEAD, ...onTwo('0/5000080') },
      { digests: SAME },
      'reseed',
      { forkLsn: '0/5000080' },
      /from different positions/,
    ],
    [
      'promoted itself, too',
      { ...AHEAD, timeline: 3, ancestors: [left(1, '0/5000080')] },
      {},
      'rewind',
      { forkLsn: '0/5000080' },
      /went on/,
    ],
    [
      'a history that nobody knows',
      { ...AHEAD, timeline: 9, ...without('ancestors') },
      {},
      'reseed',
      { salvageFromLsn: '0/4000000' },
      /nothing in common/,
    ],
  ];
  for (const [name, old, now, path, more, why] of rows) {
    const choice = chooseRejoin({ ...OLD, ...old }, { ...NOW, ...now });
    assert.equal(choice.path, path, `${name}: ${choice.why}`);
    assert.match(choice.why, why, name);
    for (const [key, value] of Object.entries(more)) assert.equal(choice[key as keyof RejoinChoice], value, name);
    if (path === 'follow') assert.deepEqual([choice.salvageFromLsn, choice.untold], [undefined, undefined], name);
  }
});

function onTwo(at = FORK): Partial<OldNode> {
  return { timeline: 2, ancestors: [left(1, at)] };
}

test('a server of another cluster is none of ours', () => {
  assert.throws(
    () => chooseRejoin({ ...OLD, systemId: '8' }, NOW),
    (error) => failureTypeOf(error) === 'Precondition',
  );
});

test('where two histories part', () => {
  const now = { timeline: 4, ancestors: [left(1, '0/100'), left(2, '0/200')] };
  assert.deepEqual(forkOf({ timeline: 1, ancestors: [] }, now), { timeline: 1, forkLsn: '0/100' });
  assert.deepEqual(forkOf({ timeline: 2, ancestors: [left(1, '0/100')] }, now), { timeline: 2, forkLsn: '0/200' });
  assert.deepEqual(forkOf({ timeline: 3, ancestors: [left(1, '0/100'), left(2, '0/180')] }, now), {
    timeline: 2,
    forkLsn: '0/180',
  });
  assert.deepEqual(forkOf(now, now), { timeline: 4 });
  assert.deepEqual(forkOf({ timeline: 2, ancestors: [left(1, '0/90')] }, now), { timeline: 1, forkLsn: '0/90' });
  assert.equal(forkOf({ timeline: 5, ancestors: [] }, now), undefined);
  // Halves may be written with zeros in front.
  assert.deepEqual(forkOf({ timeline: 2, ancestors: [left(1, '0/00000100')] }, now)?.forkLsn, '0/200');
});

test('what both must have alike ends where the first of them ends', () => {
  assert.equal(sharedEnd({ ...OLD, ...AHEAD }, NOW), FORK);
  assert.equal(sharedEnd({ ...OLD, endLsn: '0/4000000' }, NOW), '0/4000000');
  assert.equal(sharedEnd({ ...OLD, ...onTwo(), endLsn: '0/7000000' }, NOW), NOW.lsn);
  assert.equal(sharedEnd({ timeline: 9, endLsn: FORK }, NOW), undefined);
  assert.deepEqual(compareContent(SAME, { ...SAME, toLsn: '0/5000200' }), { is: 'unknown' });
  assert.deepEqual(lineUpTo(NOW, 1), []);
  assert.deepEqual(lineUpTo(NOW, 2), NOW.ancestors);
  assert.equal(lineUpTo(NOW, 3), undefined);
});
