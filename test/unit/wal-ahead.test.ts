import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WalAhead } from '../../activities/wal-ahead.ts';

const MIB = 1 << 20;
const name = (segment: number): string => `0000000100000000${segment.toString(16).toUpperCase().padStart(8, '0')}`;

/** Segments that are stored, by number; what is asked for is noted. */
function stored(last: number): { read: (name: string) => Promise<Buffer | undefined>; asked: string[]; grow(): void } {
  const asked: string[] = [];
  return {
    asked,
    grow: () => void last++,
    read: async (wanted) => {
      asked.push(wanted);
      const found = Array.from({ length: last + 1 }, (_, each) => each).find((each) => name(each) === wanted);
      return found === undefined ? undefined : Buffer.from(wanted);
    },
  };
}

test('what comes behind a segment is read once, before it is asked for, and no more of it than there is room for', async () => {
  const vault = stored(100);
  const ahead = new WalAhead(vault.read, 16 * MIB);
  assert.equal(await ahead.take(name(1)), undefined);
  ahead.goOn(name(1));
  assert.deepEqual(vault.asked, [2, 3, 4, 5].map(name));
  assert.equal((await ahead.take(name(2)))?.toString(), name(2));
  ahead.goOn(name(2));
  assert.deepEqual(vault.asked, [2, 3, 4, 5, 6].map(name));
  // Another server of the cluster, or one that was started again.
  ahead.goOn(name(50));
  assert.equal(await ahead.take(name(3)), undefined);
  assert.equal((await ahead.take(name(51)))?.toString(), name(51));
  const large = stored(100);
  new WalAhead(large.read, 1024 * MIB).goOn(name(1));
  assert.equal(large.asked.length, 0, 'two of these would be two GiB');
});

test('what is not there is never remembered as not there', async () => {
  const vault = stored(1);
  const ahead = new WalAhead(vault.read, 16 * MIB);
  ahead.goOn(name(1));
  await new Promise((next) => setImmediate(next));
  vault.grow();
  ahead.goOn(name(1));
  assert.equal((await ahead.take(name(2)))?.toString(), name(2));
  // A history has nothing behind it.
  const asked = vault.asked.length;
  ahead.goOn('00000002.history');
  assert.equal(vault.asked.length, asked);
});
