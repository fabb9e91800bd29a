import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILOVER_DEATHS } from '../support/system-failover.ts';
import { DRILL_DEATHS } from '../support/system-failover-drill.ts';
import { storiesAbout } from '../support/system-stories.ts';
import { withSystem } from '../support/system.ts';

test('a worker dies around each step of a failover', { concurrency: true }, (t) =>
  withSystem(async (system) => {
    const all = [...FAILOVER_DEATHS, ...DRILL_DEATHS];
    const died = new Set(all.flatMap(({ deaths }) => deaths.map(({ activity }) => activity)));
    assert.deepEqual([...died].sort(), storiesAbout('failover').sort());
    const told = all.map(({ tell, deaths }) => {
      const [first] = deaths;
      assert.ok(first);
      const name = deaths.map((each) => `${each.side} ${each.activity}`).join(', ');
      return t.test(name, () => tell({ system }, first.activity, deaths));
    });
    await Promise.all(told);
  }),
);
