import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openShop, storiesAbout } from '../support/system-stories.ts';
import { duringTakeOver } from '../support/system-take-over.ts';
import { withSystem } from '../support/system.ts';
import type { Death } from '../support/victim.ts';

/** In the order in which a run gets there. To die before a look is to die after the step in front of it. */
const RUNS: readonly (readonly Death[])[] = [
  [
    { activity: 'describeService', side: 'after' },
    { activity: 'takeEpoch', side: 'published' },
    { activity: 'moveTraffic', side: 'before' },
    { activity: 'checkService', side: 'after' },
  ],
  [
    { activity: 'locateTraffic', side: 'after' },
    { activity: 'takeEpoch', side: 'after' },
    { activity: 'moveTraffic', side: 'after' },
    { activity: 'weighRecovery', side: 'after' },
  ],
  [{ activity: 'listCommits', side: 'after' }],
  [
    { activity: 'findDamaged', side: 'after' },
    { activity: 'copyDamaged', side: 'published' },
    { activity: 'copyDamaged', side: 'after' },
  ],
];

test('a worker dies around each step that moves traffic', { concurrency: true }, (t) =>
  withSystem(async (system) => {
    const died = new Set(RUNS.flat().map(({ activity }) => activity));
    assert.deepEqual([...died].sort(), storiesAbout('recover').sort());
    const stage = { system, shop: await openShop(system) };
    const tell = RUNS.map((deaths) => {
      const [first] = deaths;
      assert.ok(first);
      return t.test(deaths.map((each) => `${each.side} ${each.activity}`).join(', '), () =>
        duringTakeOver(stage, first.activity, deaths),
      );
    });
    await Promise.all(tell);
  }),
);
