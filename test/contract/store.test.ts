import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { plainRun } from '../../activities/io/run.ts';
import { checkStore } from '../../activities/stores/check.ts';
import { STORES } from '../../activities/stores/index.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { withFault } from '../../activities/stores/wrap/fault.ts';
import { withRetry } from '../../activities/stores/wrap/retry.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { everyStore, keysOf, readAll } from '../support/store-contract.ts';
import { STORE_FIXTURES } from '../support/store-places.ts';

const MIB = 1 << 20;

async function inTurns<T>(items: T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function* pieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

const isNotFound = (error: unknown): boolean => failureTypeOf(error) === 'NotFound';

test('every kind of store has a fixture', () => {
  assert.deepEqual(
    STORES.map(({ kind }) => kind),
    Object.keys(STORE_FIXTURES),
  );
});

everyStore('store contract', (promise) => {
  promise('what was put is read, listed and told; put again it is replaced', async ({ session }) => {
    const bytes = randomBytes(100_000);
    assert.deepEqual(await session.put('a/b/c', bytes), { created: true });
    assert.deepEqual(await readAll(session, 'a/b/c'), bytes);
    const stat = await session.stat('a/b/c');
    assert.equal(stat?.bytes, bytes.length);
    assert.match(stat.modifiedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    for await (const listed of session.list('a/')) assert.deepEqual(listed, stat);
    await session.put('a/b/c', async function* () {
      yield Buffer.from('shorter, ');
      yield new Uint8Array();
      yield Buffer.from('and in pieces');
    });
    assert.equal((await readAll(session, 'a/b/c')).toString(), 'shorter, and in pieces');
  });

  promise('an empty object is an object', async ({ session }) => {
    await session.put('empty', new Uint8Array());
    await session.put('nothing', async function* () {});
    for (const key of ['empty', 'nothing']) {
      assert.equal((await session.stat(key))?.bytes, 0);
      assert.equal((await readAll(session, key)).length, 0);
      assert.equal((await readAll(session, key, { from: 0, to: 9 })).length, 0);
    }
  });

  promise('a range gives its bytes, and what there is of it', async ({ session }) => {
    await session.put('digits', Buffer.from('0123456789'));
    const cases: [number, number, string][] = [
      [0, 0, '0'],
      [2, 4, '234'],
      [9, 9, '9'],
      [7, 100, '789'],
      [10, 12, ''],
      [500, 600, ''],
    ];
    for (const [from, to, expected] of cases) {
      assert.equal((await readAll(session, 'digits', { from, to })).toString(), expected, `${from} to ${to}`);
    }
  });

  promise('keys may hold every character that is allowed, and nothing else', async ({ session, open }) => {
    const odd = [
      "!_.*'()@:,+=~ -",
      'a b+c',
      '100%'.replace('%', '='),
      '..a',
      'a..',
      '~',
      ' lead',
      "it's",
      'x'.repeat(255),
    ];
    for (const name of odd) await session.put(`odd/${name}/${name}`, Buffer.from(name));
    assert.deepEqual(await keysOf(session, 'odd/'), odd.map((name) => `odd/${name}/${name}`).sort());
    await using other = await open();
    for (const name of odd) assert.equal((await readAll(other, `odd/${name}/${name}`)).toString(), name);
    const refused = [
      '',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a\\b',
      'ü',
      'a\nb',
      'a%b',
      '.staging/a',
      'y'.repeat(256),
    ];
    for (const key of [...refused, 'long/'.repeat(200) + 'x']) {
      for (const call of [() => session.put(key, Buffer.from('x')), () => session.get(key), () => session.stat(key)]) {
        await assert.rejects(call, (error) => failureTypeOf(error) === 'Bug', JSON.stringify(key));
      }
    }
  });

  promise('a listing has all keys of a prefix in byte order, over many pages', async ({ session }) => {
    const many = Array.from({ length: 1203 }, (_, number) => `many/${String(number).padStart(5, '0')}`);
    const few = ['A', 'Z/z', 'a-b', 'a.b', 'a/b', 'a/b.c', 'a/c/d', 'aa', 'many-not', 'many0'];
    await inTurns([...many, ...few], (key) => session.put(key, Buffer.from(key)));
    assert.deepEqual(await keysOf(session), [...many, ...few].sort());
    assert.deepEqual(await keysOf(session, 'many/'), many);
    assert.deepEqual(await keysOf(session, 'a'), ['a-b', 'a.b', 'a/b', 'a/b.c', 'a/c/d', 'aa']);
    assert.deepEqual(await keysOf(session, 'a/'), ['a/b', 'a/b.c', 'a/c/d']);
    assert.deepEqual(await keysOf(session, 'a/b'), ['a/b', 'a/b.c']);
    assert.deepEqual(await keysOf(session, 'many/', 'many/01000'), many.slice(1001));
    assert.deepEqual(await keysOf(session, 'many/', 'many/01000x'), many.slice(1001));
    assert.deepEqual(await keysOf(session, '', 'aa'), [...many, 'many-not', 'many0'].sort());
    assert.deepEqual(await keysOf(session, 'a/', 'a/b'), ['a/b.c', 'a/c/d']);
    assert.deepEqual(await keysOf(session, 'nothing/'), []);
  });

  for (const [size, bytes] of Object.entries({ small: 1000, large: 9 * MIB })) {
    promise(`put-if-absent: of 20 ${size} writers at once one wins, with its own bytes`, async ({ session, open }) => {
      const sessions = await Promise.all([open(), open(), open()]);
      const writers = Array.from({ length: 20 }, (_, number) => ({
        store: [session, ...sessions][number % 4] as StoreSession,
        content: Buffer.alloc(bytes, number + 1),
        streamed: number % 2 === 1,
      }));
      const put = ({ store: at, content, streamed }: (typeof writers)[number]): Promise<{ created: boolean }> =>
        at.put('one', streamed ? () => pieces(content) : content, { ifAbsent: true });
      const answers = await Promise.all(writers.map(put));
      const winners = writers.filter((_, number) => answers[number]?.created);
      assert.equal(winners.length, 1);
      assert.ok((await readAll(session, 'one')).equals(winners[0]!.content));
      assert.deepEqual(await session.put('one', Buffer.from('late'), { ifAbsent: true }), { created: false });
      assert.equal((await session.stat('one'))?.bytes, bytes);
      for (const other of sessions) await other[Symbol.asyncDispose]();
    });
  }

  promise('put-if-absent whose reply was lost is repeated, and finds itself', async ({ session }) => {
    const log = { calls: [] };
    const losing = withFault(session, { kind: 'lost-reply', call: 1 }, log);
    const retried = withRetry(losing, plainRun(), { tries: 2, firstDelayMs: 1, longestDelayMs: 1 });
    assert.deepEqual(await retried.put('once', Buffer.from('mine'), { ifAbsent: true }), { created: false });
    assert.equal((await readAll(session, 'once')).toString(), 'mine');
    assert.equal(log.calls.length, 2);
  });

  for (const [size, bytes] of Object.entries({ small: 100_000, large: 10 * MIB })) {
    promise(
      `a ${size} object is seen whole or not at all while it is written and replaced`,
      async ({ session, open }) => {
        await using other = await open();
        const letGo = Promise.withResolvers<void>();
        const halfway = Promise.withResolvers<void>();
        const writing = session.put('new', async function* () {
          yield Buffer.alloc(bytes);
          halfway.resolve();
          await letGo.promise;
          yield Buffer.alloc(bytes);
        });
        await halfway.promise;
        assert.equal(await other.stat('new'), undefined);
        await assert.rejects(other.get('new'), isNotFound);
        assert.deepEqual(await keysOf(other), []);
        letGo.resolve();
        await writing;
        assert.equal((await other.stat('new'))?.bytes, 2 * bytes);

        const versions = [Buffer.alloc(bytes, 'a'), Buffer.alloc(bytes + 4321, 'b')];
        await session.put('new', versions[0]!);
        let done = false;
        const replace = async (): Promise<void> => {
          for (let turn = 1; turn <= 8; turn++) await session.put('new', versions[turn % 2]!);
          done = true;
        };
        const look = async (): Promise<void> => {
          while (!done) {
            const seen = await readAll(other, 'new');
            assert.ok(
              versions.some((version) => version.equals(seen)),
              `${seen.length} bytes that nobody put`,
            );
          }
        };
        await Promise.all([replace(), look(), look()]);
      },
    );
  }

  for (const [size, bytes] of Object.entries({ small: 1000, large: 10 * MIB })) {
    promise(`a ${size} body that fails leaves what was there and nothing else`, async ({ place, open }) => {
      const session = await open();
      await session.put('kept', Buffer.from('before'));
      const broken = Object.assign(new Error('the source broke'), { code: 'ENOENT' });
      const body = async function* (): AsyncIterable<Uint8Array> {
        for (let block = 0; block < 4; block++) yield Buffer.alloc(bytes);
        throw broken;
      };
      for (const key of ['kept', 'new']) await assert.rejects(session.put(key, body), (error) => error === broken);
      assert.equal((await readAll(session, 'kept')).toString(), 'before');
      assert.deepEqual(await keysOf(session), ['kept']);
      await session[Symbol.asyncDispose]();
      assert.deepEqual(await place.leftovers(), []);
    });
  }

  promise(
    'a removed object is gone, at once and for everybody; so is one that never was',
    async ({ session, open }) => {
      await using other = await open();
      for (let turn = 0; turn < 20; turn++) {
        await session.put('there/it/is', Buffer.from(String(turn)));
        assert.equal((await readAll(other, 'there/it/is')).toString(), String(turn));
        await session.remove('there/it/is');
        assert.equal(await other.stat('there/it/is'), undefined);
      }
      await session.remove('there/it/is');
      await session.remove('never/was');
      await assert.rejects(other.get('there/it/is'), isNotFound);
      assert.deepEqual(await keysOf(other), []);
    },
  );

  promise('what only stands before a "/" is no object', async ({ session }) => {
    await session.put('folder/file', Buffer.from('x'));
    assert.equal(await session.stat('folder'), undefined);
    await assert.rejects(session.get('folder'), isNotFound);
    assert.equal(await session.stat('folder/file/deeper'), undefined);
    await assert.rejects(session.get('folder/file/deeper'), isNotFound);
  });

  promise('80 MiB come back as they went, whole and in ranges', async ({ session }) => {
    const block = randomBytes(5 * MIB + 7);
    const hash = createHash('sha256');
    const body = async function* (): AsyncIterable<Uint8Array> {
      for (let at = 0; at < 16; at++) yield block;
    };
    for (let at = 0; at < 16; at++) hash.update(block);
    await session.put('large', body);
    const found = createHash('sha256');
    for await (const chunk of await session.get('large')) found.update(chunk as Buffer);
    assert.equal(found.digest('hex'), hash.digest('hex'));
    const seam = { from: block.length - 10, to: block.length + 9 };
    const expected = Buffer.concat([block.subarray(-10), block.subarray(0, 10)]);
    assert.deepEqual(await readAll(session, 'large', seam), expected);
    assert.equal((await session.stat('large'))?.bytes, 16 * block.length);
  });

  promise('a large stream passes through bounded memory', async ({ place, store }) => {
    const script = new URL('../support/store-stream.ts', import.meta.url).pathname;
    const options = JSON.stringify(place.options);
    const { stdout } = await promisify(execFile)(process.execPath, [script, store.kind, options, '640']);
    const { bytes, peakBytes } = JSON.parse(stdout) as { bytes: number; peakBytes: number };
    assert.equal(bytes, 640 * MIB);
    assert.ok(peakBytes < 520 * MIB, `${Math.round(peakBytes / MIB)} MiB at the peak`);
  });

  promise('a place that is gone is told, and is no empty store', async ({ session, place, store, open }) => {
    await session.put('a/b', Buffer.from('x'));
    await place.vanish();
    const calls: [string, () => Promise<unknown>][] = [
      ['stat', () => session.stat('a/b')],
      ['get', () => session.get('a/b')],
      ['list', () => keysOf(session, 'a/')],
      ['remove', () => session.remove('a/b')],
      ['put', () => session.put('a/b', Buffer.from('x'))],
      ['put-if-absent', () => session.put('c/d', Buffer.from('x'), { ifAbsent: true })],
      ['large put', () => session.put('a/b', Buffer.alloc(20 * MIB))],
    ];
    for (const [name, call] of calls) await assert.rejects(call, isNotFound, name);
    if (store.kind === 's3') await assert.rejects(open(), isNotFound);
  });

  promise('the check that a user can run finds nothing wrong, and says when something is', async ({ session }) => {
    const good = await checkStore(session);
    assert.deepEqual(
      good.filter(({ ok }) => !ok),
      [],
    );
    assert.deepEqual(await keysOf(session), [], 'it leaves nothing');
    const careless: StoreSession = { ...shared(session), put: (key, body) => session.put(key, body) };
    const wrong = (await checkStore(careless)).filter(({ ok }) => !ok);
    assert.deepEqual(
      wrong.map(({ name }) => name),
      ['conditional write is refused on a taken key', 'one winner of many conditional writes at once'],
    );
  });
});

/** The members of a session as own properties, so that one can be changed. */
function shared(session: StoreSession): StoreSession {
  return withFault(session, undefined, { calls: [] });
}
