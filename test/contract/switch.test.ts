import assert from 'node:assert/strict';
import { writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch, SWITCHES } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { Traffic } from '../../workflows/model/traffic.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { SwitchFault } from '../support/file-switch.ts';
import { fileSwitch } from '../support/file-switch.ts';
import { withTempDir } from '../support/temp-dir.ts';

/** What the suite needs of a kind: a switch at A, and somebody who knows what it really did. */
interface Place {
  open(options?: { signal?: AbortSignal; timeout?: string }): SwitchSession;
  fail(fault: SwitchFault): Promise<void>;
  /** Changes that were made, oldest first. */
  changes(): Promise<string[]>;
}

const A: Traffic = { '10.0.0.7:5432': 100 };
const B: Traffic = { '10.0.0.9:5433': 100 };

const PLACES: Record<string, (dir: string) => Promise<Place>> = {
  command: async (dir) => {
    const file = await fileSwitch(join(dir, 'state'), A);
    return {
      open: ({ signal, timeout } = {}) =>
        findSwitch('command').open(
          'lb',
          { ...file.options, ...(timeout === undefined ? {} : { timeout }) },
          plainRun(signal ? { signal } : {}),
        ),
      fail: file.fail,
      changes: file.log,
    };
  },
};

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;

test('every kind of switch has a place to be tried at', () => {
  assert.deepEqual(SWITCHES.map(({ kind }) => kind).sort(), Object.keys(PLACES).sort());
});

for (const [kind, placeIn] of Object.entries(PLACES)) {
  const at = (name: string, work: (place: Place) => Promise<void>): void => {
    test(`switch ${kind}: ${name}`, () => withTempDir(async (dir) => work(await placeIn(dir))));
  };

  at('says where traffic goes, moves it, and confirms it from outside', async (place) => {
    await using session = place.open();
    assert.deepEqual(await session.where(), { traffic: A, token: 0 });
    await session.move({ from: A, to: STOPPED, token: 2 });
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 2 });
    assert.equal((await session.confirm(STOPPED)).ok, true);
    assert.equal((await session.confirm(B)).ok, false);
    await session.move({ from: STOPPED, to: B, token: 2 });
    assert.deepEqual(await session.where(), { traffic: B, token: 2 });
  });

  at('a repeat changes nothing and succeeds', async (place) => {
    await using session = place.open();
    for (let time = 0; time < 3; time++) await session.move({ from: A, to: B, token: 4 });
    assert.equal((await place.changes()).length, 1);
  });

  at('a stale token and another place are refused, and nothing is changed', async (place) => {
    await using session = place.open();
    await session.move({ from: A, to: STOPPED, token: 6 });
    await assert.rejects(session.move({ from: STOPPED, to: B, token: 5 }), typeOf('Precondition'));
    await assert.rejects(session.move({ from: A, to: B, token: 7 }), typeOf('Precondition'));
    assert.deepEqual(await session.where(), { traffic: STOPPED, token: 6 });
    assert.equal((await place.changes()).length, 1);
  });

  at('it stays where it is under a newer token, which keeps late moves away', async (place) => {
    await using session = place.open();
    await session.move({ from: A, to: A, token: 9 });
    assert.deepEqual(await session.where(), { traffic: A, token: 9 });
    await assert.rejects(session.move({ from: A, to: B, token: 8 }), typeOf('Precondition'));
    assert.deepEqual(await place.changes(), []);
  });

  at(
    'a reply that is lost or cannot be read leaves the outcome unknown; a look tells, and a repeat does no harm',
    async (place) => {
      await using session = place.open();
      let from = A;
      for (const [index, fault] of (['lost', 'garbage'] as const).entries()) {
        const to = from === A ? B : A;
        await place.fail(fault);
        await assert.rejects(session.move({ from, to, token: 2 }), typeOf('OutcomeUnknown'), fault);
        assert.deepEqual((await session.where()).traffic, to);
        await session.move({ from, to, token: 2 });
        assert.equal((await place.changes()).length, index + 1);
        from = to;
      }
    },
  );

  at('one that hangs is ended at its time limit, its outcome unknown', async (place) => {
    await using session = place.open({ timeout: '2s' });
    await place.fail('hang');
    await assert.rejects(session.move({ from: A, to: B, token: 2 }), typeOf('OutcomeUnknown'));
  });

  at('one that is busy has changed nothing and is to be asked again', async (place) => {
    await using session = place.open();
    await place.fail('busy');
    await assert.rejects(session.move({ from: A, to: B, token: 2 }), typeOf('Unavailable'));
    assert.deepEqual((await session.where()).traffic, A);
  });

  at('a cancelled run ends the call with its reason', async (place) => {
    const stop = new AbortController();
    await using session = place.open({ signal: stop.signal });
    await place.fail('hang');
    const moving = session.move({ from: A, to: B, token: 2 });
    moving.catch(() => undefined);
    await using other = place.open();
    while ((await place.changes()).length === 0) await other.where();
    stop.abort(new Error('enough'));
    await assert.rejects(moving, { message: 'enough' });
  });
}

test('switch command: what a script answers is checked, field by field', async (t) => {
  const bad = {
    'no JSON': ['echo here', /one JSON object/, /here/],
    'no traffic': [`echo '{"token":1}'`, /"traffic"/, /not an object/],
    'a share of nothing': [`echo '{"traffic":{"a:1":0},"token":1}'`, /"traffic"/, /"a:1": 0/],
    'an address without a port': [`echo '{"traffic":{"a":100},"token":1}'`, /"traffic"/, /"a": 100/],
    'more than all': [`echo '{"traffic":{"a:1":60,"b:1":60},"token":1}'`, /"traffic"/, /120 % together/],
    'no token': [`echo '{"traffic":{}}'`, /"token"/, /nothing/],
  } as const;
  for (const [name, [body, expected, found]] of Object.entries(bad)) {
    await t.test(name, () =>
      withTempDir(async (dir) => {
        const path = join(dir, 'script');
        await writeFile(path, `#!/bin/sh\n${body}\n`);
        await chmod(path, 0o755);
        await using session = findSwitch('command').open('lb', { run: [path] }, plainRun());
        await assert.rejects(session.where(), (error: unknown) => {
          assert.equal(failureTypeOf(error), 'ConfigInvalid');
          const [facts] = (error as { details: { expected: string; found: string }[] }).details;
          assert.match(facts?.expected ?? '', expected);
          assert.match(facts?.found ?? '', found);
          return true;
        });
      }),
    );
  }
  await t.test('a script that does not exist', async () => {
    await using session = findSwitch('command').open('lb', { run: ['/nowhere/script'] }, plainRun());
    await assert.rejects(session.where(), typeOf('Unsupported'));
  });
});
