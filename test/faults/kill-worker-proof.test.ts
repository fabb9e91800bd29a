import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { withHttpServer } from '../support/http-server.ts';
import { openShop, storiesAbout, tellStory } from '../support/system-stories.ts';
import { withSystem } from '../support/system.ts';

const AT_ONCE = 5;

test('a worker dies around each step of a drill, a verification, a report', { concurrency: AT_ONCE }, (t) =>
  withSystem(async (system) => {
    const heard: string[] = [];
    await withHttpServer(
      (request, response) =>
        void text(request).then((body) => {
          heard.push(body);
          response.end();
        }),
      async (origin) => {
        const stage = { system, shop: await openShop(system), hook: { origin, heard } };
        const tell = storiesAbout('proof').map((activity) => t.test(activity, () => tellStory(stage, activity)));
        await Promise.all(tell);
      },
    );
  }),
);
