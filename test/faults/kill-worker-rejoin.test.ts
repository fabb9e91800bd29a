import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REJOIN_DEATHS } from '../support/system-rejoin.ts';
import { storiesAbout } from '../support/system-stories.ts';
import { withSystem } from '../support/system.ts';

test('a worker dies around each step of a way back', { concurrency: true }, (t) =>
  withSystem(async (system) => {
    const died = new Set(REJOIN_DEATHS.flatMap(({ deaths }) => deaths.map(({ activity }) => activity)));
    assert.deepEqual([...died].sort(), storiesAbout('rejoin').sort());
    const told = REJOIN_DEATHS.map(({ tell, deaths }) => {
      const [first] = deaths;
      assert.ok(first);
      const name = deaths.map((each) => `${each.side} ${each.activity}`).join(', ');
      return t.test(name, () => tell({ system }, first.activity, deaths));
    });
    await Promise.all(told);
  }),
);
