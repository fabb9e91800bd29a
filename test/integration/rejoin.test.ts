import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { FailbackResult, RejoinPreview, RejoinResult } from '../../workflows/model/rejoin.ts';
import { agreed } from '../support/agreed.ts';
import type { Expected } from '../support/bad-input.ts';
import { assertRefused } from '../support/bad-input.ts';
import { ask, lines } from '../support/cli-ask.ts';
import { BESIDE, cutOff, killed, write } from '../support/diverged.ts';
import { addressIn, Hammer, hammeredIn, isStandby } from '../support/failover-pair.ts';
import type { FailoverScene } from '../support/failover-scene.ts';
import { withFailoverScene } from '../support/failover-scene.ts';
import { until } from '../support/system-until.ts';

const NODES = 'services.web.cluster.nodes';

/** Before anything is touched. */
const BAD: [string[], Expected][] = [
  [
    ['rejoin', 'wbe', 'db-a'],
    {
      ...{
        type: 'NotFound',
        message: /service wbe is not in the configuration, did you mean "web"/,
        place: /^services in /,
      },
      ...{ expected: 'one of web', found: 'wbe', next: 'lifeboat config explain services' },
    },
  ],
  [
    ['rejoin', 'web', 'db-c'],
    {
      ...{ type: 'NotFound', message: /service web has no site db-c/, place: NODES },
      ...{ expected: 'one of east, west', found: 'db-c', next: /did you mean db-[ab]\?/ },
    },
  ],
  [
    ['failback', 'web', '--to', 'wset'],
    {
      ...{ type: 'NotFound', message: /service web has no site wset/, place: NODES },
      ...{ expected: 'one of east, west', found: 'wset', next: 'did you mean west?' },
    },
  ],
  [
    ['rejoin', 'web', 'db-a'],
    {
      ...{ type: 'Precondition', message: /db-a cannot be brought back: one primary beside it/, place: 'db-a' },
      ...{
        expected: /another node that writes/,
        found: /db-a is a primary on timeline 1/,
        next: /name the one that was left/,
      },
    },
  ],
];

/** Whatever a dry run could touch: the vault, the files of each server, the servers themselves, traffic. */
async function stateOf({ world, a, b, lb }: FailoverScene): Promise<unknown> {
  return {
    vault: (await readdir(world.vault, { recursive: true })).toSorted(),
    files: await Promise.all([a, b].map(async ({ dataDir }) => (await readdir(dataDir)).toSorted())),
    servers: await Promise.all([a, b].map(({ dataDir }) => runningServer(dataDir))),
    traffic: await lb.state(),
  };
}

test('unplanned failover, the way back with what is given up, and failback: on real servers, by the commands', () =>
  withFailoverScene(
    { version: 18, more: { approvals: { unplanned: { of: 1 }, breakGlass: { of: 1 } } } },
    async (scene) => {
      const { world, a, b, lb } = scene;
      for (const [words, wanted] of BAD)
        await assertRefused((more) => world.cli([...words, '--as', 'anna', ...more]), wanted);
      assert.equal(existsSync(join(a.dataDir, 'lifeboat.epoch')), false);
      await cutOff({ a, b });
      // Of a standby that is no more: on a server that is one itself it would keep WAL for ever.
      await a.sql(`select pg_create_physical_replication_slot('stale', true)`);
      for (const row of ['only-1', 'only-2']) await write(a, row);
      await killed(a);
      await ask(
        world,
        'failover',
        'web',
        '--to',
        'west',
        '--unplanned',
        '--break-glass',
        'it burns',
        '--as',
        'anna',
        '--detach',
      );
      await agreed(world, 'failover/web');
      await world.client.workflow.getHandle('failover/web').result();
      await write(b, 'new');
      // A supervisor has brought it back: it answers as a standby, has rows of its own, and never comes nearer.
      await a.start();
      assert.deepEqual([await isStandby(a), (await hammeredIn(a)).has('only-1')], [true, true]);

      const before = await stateOf(scene);
      const { preview } = await ask<{ preview: RejoinPreview }>(world, 'rejoin', 'web', 'east', '--dry-run');
      assert.deepEqual([preview.path, preview.primary], ['rewind', 'db-b'], preview.why.join('; '));
      assert.match(preview.why.join(), /a server runs on db-a \(standby\), and would be ended/);
      assert.deepEqual(await stateOf(scene), before);

      await ask(world, 'rejoin', 'web', 'east', '--as', 'anna', '--detach');
      const { evidence } = await agreed(world, 'rejoin/web');
      const shown = evidence.facts.map(({ name, value }) => `${name}: ${value}`).join('\n');
      assert.match(shown, /GIVEN UP: \d+ commits on timeline 1/);
      assert.ok(shown.includes(`, from ${preview.givesUpFromLsn} to `), shown);
      const { path, salvage, following, approvals } = (await world.client.workflow
        .getHandle('rejoin/web')
        .result()) as RejoinResult;
      assert.deepEqual([path, following.ok, approvals.map(({ by }) => by)], ['rewind', true, ['ben']]); // prettier-ignore
      const all = salvage?.first.flatMap(({ relations = [] }) => relations) ?? [];
      const named = all.filter(({ relation }) => relation.endsWith('.hammer'));
      assert.deepEqual(
        named.map(({ relation, inserts }) => [relation, inserts]),
        [['postgres.public.hammer', 1], ['postgres.public.hammer', 1]], // prettier-ignore
      );
      for (const key of salvage?.keys ?? []) assert.ok(existsSync(join(world.vault, key)), key);
      assert.ok((salvage?.keys.length ?? 0) >= 3, 'control file, a segment, the list');
      await until('it has what the new one has', async () => (await hammeredIn(a)).has('new') || undefined);
      assert.deepEqual(await hammeredIn(a), await hammeredIn(b));
      assert.deepEqual(await a.sql('select slot_name from pg_replication_slots where not active'), []);
      assert.equal(
        (await readdir(join(a.dataDir, '..'))).some((name) => name.endsWith(BESIDE)),
        false,
      );

      const again = await ask<{ result: RejoinResult }>(world, 'rejoin', 'web', 'db-a', '--as', 'anna');
      assert.equal(again.result.path, 'none');

      const settled = await stateOf(scene);
      const told = await lines(world, 'failback', 'web', '--dry-run');
      assert.match(told, /^web can go back to db-a; nothing was touched\nweb: db-a follows already[^]* switched over from db-b to db-a\n/); // prettier-ignore
      assert.match(told, /send the traffic to 127\.0\.0\.1:\d+: lb \(command, /);
      assert.deepEqual(await stateOf(scene), settled);

      await using hammer = new Hammer({ 'db-a': a, 'db-b': b });
      await hammer.hits('db-b');
      const { result } = await ask<{ result: FailbackResult }>(
        world,
        'failback',
        'web',
        '--soak',
        '1s',
        '--as',
        'anna',
      );
      await hammer.hits('db-a');
      assert.ok(result.failover.zeroLoss?.ok && result.report);
      assert.deepEqual([result.rejoin.path, result.failover.to], ['none', 'db-a']);
      assert.deepEqual(hammer.turns(), ['db-b', 'db-a']);
      const there = await hammeredIn(a);
      assert.deepEqual(hammer.of('db-b').filter((id) => !there.has(id)), []); // prettier-ignore
      assert.deepEqual([await isStandby(a), await isStandby(b)], [false, true]);
      assert.deepEqual((await lb.state()).traffic, { [addressIn(a)]: 100 });
    },
  ));
