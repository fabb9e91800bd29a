import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deps } from '../../activities/deps.ts';
import { leftSlots, slotsOf } from '../../activities/slots.ts';

interface Wal {
  slot: string;
  streams?: number;
  archive?: object;
}

function depsOf(sources: Record<string, Wal>): Deps {
  const entries = Object.entries(sources).map(([name, wal]) => [name, { wal }]);
  return { host: 'db1', config: { path: 'lifeboat.yml', sources: Object.fromEntries(entries) } } as unknown as Deps;
}

test('slots that streams of a source may have left: never those that it, or another one, has', () => {
  const one = depsOf({ shop: { slot: 'lifeboat_shop' } });
  assert.deepEqual(leftSlots(one, 'shop'), ['lifeboat_shop_2', 'lifeboat_shop_3', 'lifeboat_shop_4']);
  const two = depsOf({ shop: { slot: 'lifeboat_shop', streams: 2 }, 'shop-3': { slot: 'lifeboat_shop_3' } });
  assert.deepEqual(leftSlots(two, 'shop'), ['lifeboat_shop_4']);
  const archive = depsOf({ shop: { slot: 'own', archive: {} } });
  assert.deepEqual(leftSlots(archive, 'shop'), ['own', 'own_2', 'own_3', 'own_4']);
  assert.deepEqual(slotsOf(archive.config.sources['shop'] as never), []);
});
