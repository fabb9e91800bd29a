import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { Clock } from '../../activities/io/clock.ts';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { openStore } from '../../activities/stores/open.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { emptyCounts, withCount } from '../../activities/stores/wrap/count.ts';
import type { FaultLog } from '../../activities/stores/wrap/fault.ts';
import { withFault } from '../../activities/stores/wrap/fault.ts';
import { withLimit } from '../../activities/stores/wrap/limit.ts';
import { withRetry } from '../../activities/stores/wrap/retry.ts';
import { withThrottle } from '../../activities/stores/wrap/throttle.ts';
import { wrapSession } from '../../activities/stores/wrap/wrap.ts';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure, FAILURE_TYPES, failureTypeOf } from '../../workflows/model/failure.ts';
import { keysOf, readAll } from '../support/store-contract.ts';
import { withTempDir } from '../support/temp-dir.ts';

/** Time that passes only by sleeping. */
function fakeClock(): Clock & { slept: number[]; nowMs(): number } {
  let nowMs = Date.parse('2026-01-05T03:00:00Z');
  const slept: number[] = [];
  return {
    slept,
    nowMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
      nowMs += ms;
    },
  };
}

type FakeRun = Run & { clock: ReturnType<typeof fakeClock> };

function fakeRun(signal?: AbortSignal): FakeRun {
  return { ...plainRun(signal ? { signal } : {}), clock: fakeClock() };
}

/** A session on a folder of its own: wrappers are tried around the real thing. */
async function onStore(callback: (session: StoreSession, dir: string) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    await using session = await openStore({ kind: 'filesystem', options: { path: dir } }, plainRun());
    await callback(session, dir);
  });
}

/** Fails the first `times` calls as told. */
function failing(
  inner: StoreSession,
  times: number,
  error: () => Error,
): { session: StoreSession; calls: () => number } {
  let calls = 0;
  const session = wrapSession(inner, {
    around: async (_operation, _key, call) => {
      calls += 1;
      if (calls <= times) throw error();
      return call();
    },
  });
  return { session, calls: () => calls };
}

suite('store retry', () => {
  const options = { tries: 5, firstDelayMs: 100, longestDelayMs: 400 };

  for (const type of Object.keys(FAILURE_TYPES) as FailureType[]) {
    const { retry } = FAILURE_TYPES[type];
    test(`${type} is ${retry ? 'tried again' : 'thrown at once'}`, async () => {
      await onStore(async (inner) => {
        const run = fakeRun();
        const { session, calls } = failing(inner, 1, () => failure(type, 'store is not well'));
        const put = withRetry(session, run, options).put('key', Buffer.from('x'));
        if (retry) assert.deepEqual(await put, { created: true });
        else await assert.rejects(put, (error) => failureTypeOf(error) === type);
        assert.equal(calls(), retry ? 2 : 1);
        assert.equal(run.clock.slept.length, retry ? 1 : 0);
      });
    });
  }

  test('an error that is not ours is thrown at once', async () => {
    await onStore(async (inner) => {
      const { session, calls } = failing(inner, 1, () => new TypeError('a bug'));
      await assert.rejects(withRetry(session, fakeRun(), options).stat('key'), TypeError);
      assert.equal(calls(), 1);
    });
  });

  test('after the last try the failure is thrown', async () => {
    await onStore(async (inner) => {
      const run = fakeRun();
      const { session, calls } = failing(inner, 99, () => failure('Unavailable', 'store is away'));
      await assert.rejects(withRetry(session, run, options).stat('key'), /store is away/);
      assert.equal(calls(), options.tries);
      assert.equal(run.clock.slept.length, options.tries - 1);
    });
  });

  test('delays are random below a bound that doubles to a limit', async () => {
    await onStore(async (inner) => {
      const delays: number[][] = [];
      for (let turn = 0; turn < 200; turn++) {
        const run = fakeRun();
        const { session } = failing(inner, 99, () => failure('Busy', 'store is busy'));
        await assert.rejects(withRetry(session, run, options).stat('key'));
        delays.push(run.clock.slept);
      }
      [100, 200, 400, 400].forEach((bound, attempt) => {
        const seen = delays.map((slept) => slept[attempt] ?? -1);
        assert.ok(
          seen.every((ms) => ms >= 0 && ms < bound),
          `try ${attempt + 1} waited ${Math.max(...seen)} ms`,
        );
        assert.ok(Math.max(...seen) > bound * 0.8 && Math.min(...seen) < bound * 0.2, 'they are spread');
      });
    });
  });

  test('a store that says when is asked then and not before; one that wants too long is left to the caller', async () => {
    await onStore(async (inner) => {
      const asks = (retryAfterMs: number) => (): Error => failure('Busy', 'store is busy', { retryAfterMs });
      const run = fakeRun();
      await withRetry(failing(inner, 1, asks(300)).session, run, options).stat('key');
      const [waitedMs = 0] = run.clock.slept;
      assert.ok(waitedMs >= 300 && waitedMs < 400, `${waitedMs} ms`);
      await assert.rejects(withRetry(failing(inner, 1, asks(60_000)).session, run, options).stat('key'), /busy/);
    });
  });

  test('the end of the run ends the waiting', async () => {
    await onStore(async (inner) => {
      const stop = new AbortController();
      const run = plainRun({ signal: stop.signal });
      const { session } = failing(inner, 99, () => failure('Unavailable', 'store is away'));
      const hour = { tries: 5, firstDelayMs: 3_600_000, longestDelayMs: 3_600_000 };
      const waiting = withRetry(session, run, hour).stat('key');
      setImmediate(() => stop.abort(new Error('enough')));
      await assert.rejects(waiting, /enough/);
    });
  });
});

suite('store listings through a wrapper', () => {
  const keys = Array.from({ length: 2500 }, (_, number) => `k/${String(number).padStart(4, '0')}`);

  test('a batch that fails, or whose answer is lost, is taken again: nothing is missed and nothing comes twice', async () => {
    await onStore(async (inner, dir) => {
      await mkdir(join(dir, 'k'));
      for (const key of keys) await writeFile(join(dir, key), 'x');
      for (const kind of ['fail', 'lost-reply'] as const) {
        for (const call of [1, 2, 3]) {
          const log: FaultLog = { calls: [] };
          const session = withRetry(withFault(inner, { kind, call }, log), fakeRun());
          assert.deepEqual(await keysOf(session, 'k/'), keys, `${kind} at batch ${call}`);
          assert.equal(log.calls.length, 4);
        }
      }
      const twice = wrapSession(inner, {
        around: async (_operation, _key, call) => {
          await call();
          return call();
        },
      });
      assert.deepEqual(await keysOf(twice, 'k/'), keys, 'every batch asked for twice');
    });
  });

  test('a listing is not begun again for every batch, and is closed when nobody wants more', async () => {
    await onStore(async (inner) => {
      const opened: (string | undefined)[] = [];
      let closed = 0;
      const session: StoreSession = {
        ...withFault(inner, undefined, { calls: [] }),
        list: async function* (_prefix, options = {}) {
          opened.push(options.startAfter);
          try {
            for (const key of keys) yield { key, bytes: 1, modifiedAt: '2026-01-05T03:00:00.000Z' };
          } finally {
            closed += 1;
          }
        },
      };
      const wrapped = withRetry(session, fakeRun());
      assert.deepEqual(await keysOf(wrapped), keys);
      assert.deepEqual(opened, [undefined]);
      for await (const { key } of wrapped.list('')) if (key === 'k/0003') break;
      assert.equal(closed, 2);
    });
  });
});

suite('store throttle', () => {
  test('bytes in and out share one rate, with one second ahead', async () => {
    await onStore(async (inner) => {
      const run = fakeRun();
      const startMs = run.clock.nowMs();
      const session = withThrottle(inner, run, 100_000);
      const bytes = randomBytes(400_000);
      await session.put('key', bytes);
      const putMs = run.clock.nowMs() - startMs;
      assert.ok(putMs >= 2_900 && putMs <= 3_100, `400 kB took ${putMs} ms`);
      assert.deepEqual(await readAll(session, 'key'), bytes);
      const bothMs = run.clock.nowMs() - startMs;
      assert.ok(bothMs >= 6_900 && bothMs <= 7_100, `800 kB took ${bothMs} ms`);
    });
  });

  test('the end of the run ends a stream that waits for its turn', async () => {
    await onStore(async (inner) => {
      await inner.put('key', Buffer.alloc(100_000));
      const stop = new AbortController();
      const session = withThrottle(inner, plainRun({ signal: stop.signal }), 1);
      const reading = readAll(session, 'key');
      setImmediate(() => stop.abort(new Error('enough')));
      await assert.rejects(reading, /enough/);
    });
  });
});

suite('store limit', () => {
  test('never more calls at once than allowed, each in its turn', async () => {
    await onStore(async (inner) => {
      let now = 0;
      let most = 0;
      const order: string[] = [];
      const watched = wrapSession(inner, {
        around: async (_operation, key, call) => {
          most = Math.max(most, (now += 1));
          order.push(key);
          try {
            return await call();
          } finally {
            now -= 1;
          }
        },
      });
      const session = withLimit(watched, plainRun(), 3);
      const names = Array.from({ length: 20 }, (_, number) => `k${number}`);
      await Promise.all(names.map((key) => session.put(key, Buffer.from(key))));
      assert.equal(most, 3);
      assert.deepEqual(order, names);
    });
  });

  test('a failed call gives its place back; the end of the run ends the waiting, and takes no place along', async () => {
    await onStore(async (inner) => {
      const stop = new AbortController();
      const release = Promise.withResolvers<void>();
      const slow = withFault(inner, { kind: 'late', call: 2, release: release.promise }, { calls: [] });
      const session = withLimit(slow, plainRun({ signal: stop.signal }), 1);
      await assert.rejects(session.get('absent'));
      const first = session.stat('first');
      const waiting = session.stat('second');
      stop.abort(new Error('enough'));
      await assert.rejects(waiting, /enough/);
      release.resolve();
      assert.equal(await first, undefined);
      assert.equal(await session.stat('third'), undefined);
    });
  });
});

suite('store count and fault', () => {
  test('calls and failures are counted by operation', async () => {
    await onStore(async (inner) => {
      const counts = emptyCounts();
      const session = withCount(inner, counts);
      await session.put('a', Buffer.from('x'));
      await session.put('b', Buffer.from('x'));
      await keysOf(session);
      await session.stat('a');
      await session.remove('a');
      await assert.rejects(session.get('a'));
      assert.deepEqual(counts.calls, { put: 2, get: 1, stat: 1, list: 1, remove: 1 });
      assert.deepEqual(counts.failed, { put: 0, get: 1, stat: 0, list: 0, remove: 0 });
    });
  });

  test('a fault hits the call it is for, and does what its name says', async () => {
    await onStore(async (inner) => {
      const unavailable = (error: unknown): boolean => failureTypeOf(error) === 'Unavailable';
      const bytes = randomBytes(10_000);
      const log = { calls: [] };
      const failed = withFault(inner, { kind: 'fail', call: 2 }, log);
      await failed.put('a', bytes);
      await assert.rejects(failed.put('b', bytes), unavailable);
      assert.equal(await inner.stat('b'), undefined);
      assert.deepEqual(log.calls, [
        { operation: 'put', key: 'a' },
        { operation: 'put', key: 'b' },
      ]);
      await assert.rejects(
        withFault(inner, { kind: 'lost-reply', call: 1 }, { calls: [] }).put('c', bytes),
        unavailable,
      );
      assert.equal((await inner.stat('c'))?.bytes, bytes.length);
      const cut = await readAll(withFault(inner, { kind: 'truncate', call: 1 }, { calls: [] }), 'a');
      assert.deepEqual(cut, bytes.subarray(0, cut.length));
      assert.ok(cut.length < bytes.length);
      const pieces = withFault(inner, { kind: 'trickle', call: 1 }, { calls: [] });
      assert.deepEqual(await readAll(pieces, 'a'), bytes);
      const release = Promise.withResolvers<void>();
      const late = withFault(inner, { kind: 'late', call: 1, release: release.promise }, { calls: [] });
      const putting = late.put('d', bytes);
      assert.equal(await inner.stat('d'), undefined);
      release.resolve();
      await putting;
      assert.equal((await inner.stat('d'))?.bytes, bytes.length);
      const hung = withFault(inner, { kind: 'hang', call: 1, release: release.promise }, { calls: [] });
      await assert.rejects(hung.put('e', bytes), unavailable);
      assert.equal(await inner.stat('e'), undefined);
    });
  });
});
