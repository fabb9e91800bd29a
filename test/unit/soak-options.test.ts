import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unfinishedPoints } from '../soak/invariants.ts';
import { Model } from '../soak/model/model.ts';
import { readOptions } from '../soak/options.ts';
import { Reach } from '../soak/world/reach.ts';

test('a soak is told how long or how many, and what is wrong with what it is told', () => {
  assert.deepEqual(readOptions(['--minutes', '5', '--seed', '7']), {
    ...{ seed: 7, minutes: 5, postgres: 18, store: 'folder', json: false },
  });
  assert.equal(readOptions(['--actions', '3'])?.actions, 3);
  assert.equal(readOptions(['--help']), undefined);
  const bad: [string[], RegExp][] = [
    [[], /--minutes or --actions/],
    [['--minutes', '1', '--actions', '1'], /--minutes or --actions/],
    [['--minutes', '1.5'], /--minutes is 1.5; expected a whole number from 1/],
    [['--minutes', '1', '--seed', ''], /--seed is ;/],
    [['--minutes', '1', '--postgres', '14'], /--postgres is 14; expected one of 15, 17, 18/],
    [['--minutes', '1', '--store', 'tape'], /--store is tape; expected folder or s3/],
    [['--minuets', '1'], /Unknown option '--minuets'/],
  ];
  for (const [args, says] of bad) assert.throws(() => readOptions(args), says, args.join(' '));
});

test('a point without a manifest, or with a draft, is one that nobody finished', () => {
  const keys = ['s/points/a/p1', 's/points/a/manifest', 's/points/b/p1', 's/points/c/draft', 's/wal/1/2', 's/keys/k'];
  assert.deepEqual(unfinishedPoints(keys), ['b', 'c']);
});

test('moments count from the first base on, but for those around a slot that was dropped', () => {
  const model = new Model();
  const seen = { acknowledged: 0, started: 0 };
  const mark = (): void => {
    const around = { before: seen, after: seen };
    model.mark({ lsn: '0/1', at: '', orders: around, aroundCommit: around });
  };
  const reach = new Reach(model);
  mark();
  assert.equal(reach.hasBase, false);
  assert.deepEqual(reach.moments(), []);
  reach.based();
  mark();
  mark();
  reach.lost(2, { fromLsn: '0/10', toLsn: '0/30' });
  mark();
  reach.based();
  assert.deepEqual(
    reach.moments().map(({ number }) => number),
    [1, 3],
  );
  assert.equal(reach.explains({ fromLsn: '0/10', toLsn: '0/20' }), true);
  assert.equal(reach.explains({ fromLsn: '0/0F', toLsn: '0/20' }), false);
  assert.equal(reach.explains({ fromLsn: '0/10', toLsn: '0/31' }), false);
});
