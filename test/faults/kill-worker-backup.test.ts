import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTIVITY_NAMES } from '../../activities/index.ts';
import { STORIES, storiesAbout, tellStory } from '../support/system-stories.ts';
import { withSystem } from '../support/system.ts';

const AT_ONCE = 5;

test('every activity has a run in which the worker dies before and after it', () => {
  assert.deepEqual(Object.keys(STORIES).sort(), [...ACTIVITY_NAMES].sort());
});

test('a worker dies around each step of a backup and of the WAL stream', { concurrency: AT_ONCE }, (t) =>
  withSystem(async (system) => {
    const tell = storiesAbout('backup').map((activity) => t.test(activity, () => tellStory({ system }, activity)));
    await Promise.all(tell);
  }),
);
