import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Deps } from '../../activities/deps.ts';
import { systemClock } from '../../activities/io/clock.ts';
import { plainRun, silentLog } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import { moveTraffic } from '../../activities/traffic.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { fileSwitch } from '../support/file-switch.ts';
import { switchContract } from '../support/switch-contract.ts';
import { withTempDir } from '../support/temp-dir.ts';

const HOME = { '10.0.0.7:5432': 100 };
const AWAY = { '10.0.0.9:5433': 100 };

switchContract('command', async (dir) => {
  const file = await fileSwitch(join(dir, 'state'), HOME);
  return {
    ...{ home: HOME, away: AWAY, fail: file.fail, changes: file.log },
    open: ({ signal, timeout } = {}) =>
      findSwitch('command').open(
        'lb',
        { ...file.options, ...(timeout === undefined ? {} : { timeout }) },
        plainRun(signal ? { signal } : {}),
      ),
  };
});

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
    await assert.rejects(session.where(), (error: unknown) => failureTypeOf(error) === 'Unsupported');
  });
});

test('a move that a newer run has taken over is not confirmed, although traffic goes where it was wanted', () =>
  withTempDir(async (dir) => {
    const state = join(dir, 'state');
    const { options, log } = await fileSwitch(state, HOME);
    const path = join(dir, 'script');
    const [script = ''] = options['run'] as string[];
    // Right behind the move somebody else says the same with a higher number.
    const newer = `[ "$1" = move ] && sed -i 's/^[0-9]* /9 /' ${state}`;
    await writeFile(path, `#!/bin/sh\n${script} ${state} "$1"\nexit=$?\n${newer}\nexit $exit\n`);
    await chmod(path, 0o755);
    const config = { path: 'lifeboat.yml', switches: { lb: { kind: 'command', options: { run: [path] } } } };
    const deps = { config, clock: systemClock, host: 'here', log: silentLog } as unknown as Deps;
    const order = { source: 'shop', name: 'lb', from: HOME, to: AWAY, token: 4 };
    for (const attempt of [1, 2]) {
      const moved = new MockActivityEnvironment({ attempt }).run(() => moveTraffic(deps, order));
      await assert.rejects(moved, (error: unknown) => failureTypeOf(error) === 'Precondition');
    }
    assert.equal((await log()).length, 1, 'it was moved once');
  }));
