import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { Expected } from './bad-input.ts';
import { assertRefused, changesOf, contentsOf } from './bad-input.ts';
import { hurriedHost, realTimeHost } from './cli-world.ts';
import type { Lifeboat } from './lifeboat.ts';

export interface Row extends Expected {
  name: string;
  words: string[];
  /** Why it cannot be tried here. */
  skip?: string | undefined;
  isHurried?: boolean;
}

export const PROMISE = 'one message with place, expected, found and next; nothing touched';

/** What takes its time waits beside the others. */
export async function refuse(t: TestContext, world: Lifeboat, rows: Row[]): Promise<void> {
  const slow = rows.filter((row) => row.isSlow === true).map((row) => refuseOne(t, world, row));
  for (const row of rows.filter((each) => each.isSlow !== true)) await refuseOne(t, world, row);
  await Promise.all(slow);
  assert.deepEqual(globSync('*/use/*', { cwd: world.vault }), [], 'a note of use stays');
}

/** Notes of use come and go beside each other: that none stays is looked at when all is over. */
const NOTE_OF_USE = /\/use(?:\/[^/]*)?: /;
/** What reading a point found is kept beside it, also when it is not what was signed. */
const FOUND_BY_READING = /\/points\/[^/]+\/checked: /;

function refuseOne(t: TestContext, world: Lifeboat, row: Row): Promise<void> {
  return t.test(row.name, row.skip === undefined ? {} : { skip: row.skip }, async () => {
    const before = await contentsOf(world.vault, world.scratch);
    const run = (more: string[]): ReturnType<Lifeboat['cli']> =>
      world.cli([...row.words, ...more], row.isHurried ? hurriedHost() : realTimeHost());
    await assertRefused(run, row);
    const changes = changesOf(before, await contentsOf(world.vault, world.scratch));
    assert.deepEqual(
      changes.filter((line) => !NOTE_OF_USE.test(line) && !(row.words[0] === 'verify' && FOUND_BY_READING.test(line))),
      [],
    );
  });
}
