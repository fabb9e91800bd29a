import { test } from 'node:test';
import { openShop, storiesAbout, tellStory } from '../support/system-stories.ts';
import { withSystem } from '../support/system.ts';

const AT_ONCE = 5;

test('a worker dies around each step of a recovery', { concurrency: AT_ONCE }, (t) =>
  withSystem(async (system) => {
    const stage = { system, shop: await openShop(system) };
    const tell = storiesAbout('restore').map((activity) => t.test(activity, () => tellStory(stage, activity)));
    await Promise.all(tell);
  }),
);
