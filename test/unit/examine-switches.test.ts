import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Config } from '../../activities/config/index.ts';
import type { Deps } from '../../activities/deps.ts';
import { inspectVault } from '../../activities/inspect.ts';
import { systemClock } from '../../activities/io/clock.ts';
import { silentLog } from '../../activities/io/run.ts';
import type { InspectAnswer } from '../../workflows/model/results.ts';
import { fileSwitch } from '../support/file-switch.ts';
import { withTempDir } from '../support/temp-dir.ts';

test('doctor asks every switch of this host where it is, and one that cannot say hides no other', () =>
  withTempDir(async (dir) => {
    const pool = await fileSwitch(join(dir, 'pool'), { '10.0.0.7:5432': 100 });
    await pool.set(6, { '10.0.0.7:5432': 100 });
    const switches: Config['switches'] = {
      broken: { kind: 'command', options: { run: ['/nowhere/script'] } },
      pool: { kind: 'command', options: pool.options },
      elsewhere: { kind: 'command', host: 'db2', options: { run: ['/nowhere/script'] } },
    };
    const deps: Deps = {
      ...{ host: 'db1', tool: 'test', clock: systemClock, log: silentLog, searchAttributes: false },
      config: { stores: {}, sources: {}, switches } as unknown as Config,
      loadKeys: () => Promise.reject(new Error('no keys here')),
    };
    const answer: InspectAnswer = await new MockActivityEnvironment().run((): Promise<InspectAnswer> =>
      inspectVault(deps, { what: 'doctor' }),
    );
    assert.ok(answer.what === 'doctor');
    const told = answer.checks.filter(({ scope }) => scope.startsWith('switch '));
    assert.deepEqual(
      told.map(({ scope, ok }) => [scope, ok]),
      [
        ['switch broken', false],
        ['switch pool', true],
        ['switch elsewhere', true],
      ],
    );
    assert.equal(told[1]?.found, '10.0.0.7:5432, token 6');
    assert.match(told[2]?.found ?? '', /host db2/);
    assert.equal(answer.ok, false);
  }));
