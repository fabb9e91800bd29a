import assert from 'node:assert/strict';
import type { StoreSession } from '../../activities/stores/store.ts';
import type { Bench } from '../support/store-contract.ts';
import { everyStore, keysOf, readAll } from '../support/store-contract.ts';

const MIB = 1 << 20;

/** A session that `stop` ends, with the reason to expect. */
async function stoppable(bench: Bench): Promise<{ session: StoreSession; stop(): void; reason: Error }> {
  const controller = new AbortController();
  const reason = new Error('enough');
  const session = await bench.open({ signal: controller.signal });
  return { session, reason, stop: () => controller.abort(reason) };
}

everyStore('store cancellation', (promise) => {
  const calls: Record<string, (session: StoreSession) => Promise<unknown>> = {
    put: (session) => session.put('new', Buffer.from('x')),
    'put-if-absent': (session) => session.put('new', Buffer.from('x'), { ifAbsent: true }),
    'large put': (session) => session.put('new', Buffer.alloc(30 * MIB)),
    get: (session) => readAll(session, 'there'),
    stat: (session) => session.stat('there'),
    list: (session) => keysOf(session),
    remove: (session) => session.remove('there'),
  };

  for (const [name, call] of Object.entries(calls)) {
    promise(`${name} after the end is refused with its reason, and does nothing`, async (bench) => {
      await bench.session.put('there', Buffer.from('x'));
      const { session, stop, reason } = await stoppable(bench);
      stop();
      await assert.rejects(call(session), (error) => error === reason);
      await session[Symbol.asyncDispose]();
      assert.deepEqual(await keysOf(bench.session), ['there']);
      assert.deepEqual(await bench.place.leftovers(), []);
    });

    promise(`${name} that is under way ends with the reason, or was done`, async (bench) => {
      for (let turns = 0; turns < 12; turns++) {
        await bench.session.put('there', Buffer.from('x'));
        await bench.session.remove('new');
        const { session, stop, reason } = await stoppable(bench);
        const ended = call(session).then(
          () => undefined,
          (error: unknown) => error,
        );
        // Each time a little further into the call.
        for (let turn = 0; turn < turns * turns; turn++) await new Promise(setImmediate);
        stop();
        assert.ok([undefined, reason].includes((await ended) as Error | undefined), String(await ended));
        await session[Symbol.asyncDispose]();
        assert.deepEqual(await bench.place.leftovers(), []);
        const found = await bench.session.stat('new');
        assert.ok([undefined, 1, 30 * MIB].includes(found?.bytes), `${found?.bytes} bytes of something`);
      }
    });
  }

  for (const [size, bytes] of Object.entries({ small: 1000, large: 9 * MIB })) {
    promise(`a ${size} put whose body is stuck ends with the reason and leaves nothing`, async (bench) => {
      const { session, stop, reason } = await stoppable(bench);
      const putting = session.put('stuck', async function* () {
        for (let block = 0; block < 3; block++) yield Buffer.alloc(bytes);
        setImmediate(stop);
        await new Promise(() => {});
      });
      await assert.rejects(putting, (error) => error === reason);
      await session[Symbol.asyncDispose]();
      assert.deepEqual(await bench.place.leftovers(), []);
      assert.deepEqual(await keysOf(bench.session), []);
    });
  }

  promise('a stream that is being read ends with the reason', async (bench) => {
    await bench.session.put('long', Buffer.alloc(40 * MIB));
    const { session, stop, reason } = await stoppable(bench);
    const stream = await session.get('long');
    let bytes = 0;
    const reading = async (): Promise<void> => {
      for await (const chunk of stream) {
        bytes += (chunk as Buffer).length;
        stop();
      }
    };
    await assert.rejects(reading, (error) => error === reason);
    assert.ok(bytes < 40 * MIB, 'it ended early');
  });

  promise('a stream that nobody reads, or that was ended before anybody did, harms nothing', async (bench) => {
    await bench.session.put('long', Buffer.alloc(5 * MIB));
    const { session, stop, reason } = await stoppable(bench);
    await session.get('long');
    const late = await session.get('long');
    stop();
    await new Promise(setImmediate);
    await assert.rejects(
      (async () => {
        for await (const _ of late);
      })(),
      (error) => error === reason,
    );
    const left = await bench.session.get('long');
    left.destroy();
    assert.equal((await readAll(bench.session, 'long')).length, 5 * MIB);
  });

  promise('a listing under way ends with the reason', async (bench) => {
    for (const key of ['a', 'b', 'c']) await bench.session.put(key, Buffer.from(key));
    const { session, stop, reason } = await stoppable(bench);
    const seen: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const { key } of session.list('')) {
        seen.push(key);
        stop();
      }
    };
    await assert.rejects(listing, (error) => error === reason);
    assert.deepEqual(seen, ['a']);
  });
});
