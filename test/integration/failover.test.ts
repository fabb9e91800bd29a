import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { FailoverDrillResult } from '../../workflows/model/failover-drill.ts';
import type { FailoverPreview, FailoverResult } from '../../workflows/model/failover.ts';
import { lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import type { WalAnswer } from '../../workflows/model/results.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { checkedReport } from '../support/checked-report.ts';
import { ask } from '../support/cli-ask.ts';
import { processesUnder, standing } from '../support/drilled.ts';
import { addressIn, Hammer, hammeredIn, isStandby } from '../support/failover-pair.ts';
import type { FailoverScene } from '../support/failover-scene.ts';
import { withFailoverScene } from '../support/failover-scene.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { until } from '../support/system-until.ts';

/** Only of what hangs. */
const LONG = { timeout: 300_000 };

const WEB = ['failover', 'web', '--as', 'anna'];

function resultOf({ world }: FailoverScene, ...words: string[]): Promise<FailoverResult> {
  return ask<{ result: FailoverResult }>(world, ...WEB, ...words).then(({ result }) => result);
}

/** The two servers change places under load; everything that was acknowledged is on the new primary, and one at a time wrote. */
async function switchOver(
  scene: FailoverScene,
  hammer: Hammer,
  { to, site }: { to: 'db-a' | 'db-b'; site: string },
): Promise<FailoverResult> {
  const { a, b, lb } = scene;
  const [next, last] = to === 'db-b' ? [b, a] : [a, b];
  const from = to === 'db-b' ? 'db-a' : 'db-b';
  await hammer.hits(from);
  const turns = hammer.turns().length;
  const result = await resultOf(scene, '--to', site, '--planned');
  const { zeroLoss, promotion, rejoined, others, traffic, loss, next: then } = result;
  await hammer.hits(to);
  assert.ok(zeroLoss?.ok);
  assert.equal(zeroLoss.shutdownEndLsn, zeroLoss.forkLsn);
  assert.deepEqual([promotion.node, loss], [to, undefined]);
  assert.deepEqual(traffic[0]?.to, { [addressIn(next)]: 100 });
  assert.deepEqual((await lb.state()).traffic, { [addressIn(next)]: 100 });
  assert.deepEqual(hammer.turns().slice(turns - 1), [from, to]);
  const there = await hammeredIn(next);
  assert.deepEqual(hammer.of(from).filter((id) => !there.has(id)), []); // prettier-ignore
  assert.ok(rejoined?.ok, JSON.stringify(rejoined));
  assert.deepEqual([await isStandby(next), await isStandby(last)], [false, true]);
  // What the marker proves is proven by rows, too.
  await hammer.hits(to);
  const [mark] = hammer.of(to).slice(-1);
  await until('the old primary has what the new one takes', async () => (await hammeredIn(last)).has(mark ?? '') || undefined); // prettier-ignore
  assert.equal(await readFile(join(last.dataDir, 'standby.signal'), 'utf8'), '');
  await assertThird(scene, { primary: next, has: mark ?? '', others });
  // Writers of this test come back to the old one, too, and may be counted there.
  const steps = then.filter((line) => !line.includes('sessions of clients'));
  assert.equal(steps.length, 1, steps.join('; '));
  const [own] = await last.sql(`select count(*)::int as slots from pg_replication_slots where not active`);
  assert.equal(own?.['slots'], 0, 'a slot that nobody uses keeps WAL for ever');
  return result;
}

/** Another standby follows whoever is the primary, by rows and by what the primary sees. */
async function assertThird(
  { c }: FailoverScene,
  { primary, has, others }: { primary: TestPostgres; has: string; others: FailoverResult['others'] | undefined },
): Promise<void> {
  assert.deepEqual(others?.map(({ node, ok }) => [node, ok]), c && [['db-c', true]]); // prettier-ignore
  if (!c) return;
  await until('the other standby has what the new one takes', async () => (await hammeredIn(c)).has(has) || undefined);
  const senders = await primary.sql(`select slot_name, active from pg_replication_slots order by slot_name`);
  assert.ok(senders.some(({ slot_name: slot, active }) => slot === 'lifeboat_db_c' && active === true));
}

/** The process that takes sessions ends as a host does that loses its power; its children follow. */
async function killed({ dataDir }: TestPostgres): Promise<void> {
  const pid = await runningServer(dataDir);
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  await until('it is gone', async () => ((await runningServer(dataDir)) === undefined ? true : undefined));
}

/** A clone of the standby takes over, and nothing of it is left: neither server is touched. */
async function drilled({ world, a, b }: FailoverScene): Promise<void> {
  const before = [await standing(a), await standing(b)];
  const { result } = await ask<{ result: FailoverDrillResult }>(world, 'failover', 'web', '--drill');
  // Given to it in the configuration, which does not outrank what isolates it.
  assert.match(result.checks.find(({ name }) => name === 'no address and no archive')?.found ?? '', /listens on ""/);
  assert.deepEqual([await standing(a), await standing(b)], before);
  assert.deepEqual(await processesUnder(`${b.dataDir}.drill`), []);
  assert.equal(existsSync(`${b.dataDir}.drill`), false);
}

test(
  'planned, there and back under load, on PostgreSQL 18: nothing is lost, one writes at a time, a third follows',
  LONG,
  () =>
    withFailoverScene({ version: 18, third: true }, async (scene) => {
      await using hammer = new Hammer({ 'db-a': scene.a, 'db-b': scene.b });
      await hammer.hits('db-a');
      const { preview } = await ask<{ preview: FailoverPreview }>(
        scene.world,
        ...WEB,
        '--to',
        'west',
        '--planned',
        '--dry-run',
      );
      assert.ok(preview.ok);
      assert.ok(
        !existsSync(join(scene.a.dataDir, 'lifeboat.epoch')) && !existsSync(join(scene.b.dataDir, 'lifeboat.epoch')),
      );
      await switchOver(scene, hammer, { to: 'db-b', site: 'west' });
      const back = await switchOver(scene, hammer, { to: 'db-a', site: 'east' });
      const { change, outage, steps, rpoMs } = await checkedReport(scene.world, back.report);
      assert.deepEqual([change?.zeroLoss, rpoMs, outage?.ms], [back.zeroLoss, 0, back.outageMs]);
      assert.deepEqual(change?.traffic, back.traffic);
      const measured = steps?.map(({ name, before }) => [name, before?.runs]);
      assert.deepEqual(
        measured?.filter(([name]) => /traffic$|^stop db-/.test(String(name))),
        [
          ['stop the traffic', 1],
          ['stop db-b', undefined],
        ],
      );
      const epochs = await Promise.all(
        [scene.a, scene.b].map(({ dataDir }) => readFile(join(dataDir, 'lifeboat.epoch'), 'utf8')),
      );
      assert.deepEqual(epochs.map((text) => (JSON.parse(text) as { epoch: number }).epoch), [2, 2]); // prettier-ignore
      assert.deepEqual(hammer.turns(), ['db-a', 'db-b', 'db-a']);
      const again = await scene.world.cli([...WEB, '--to', 'east', '--planned', '--json']);
      assert.equal(again.code, 5);
      assert.match(JSON.stringify(again.json['error']), /db-a is the primary already/);
    }),
);

test(
  'unplanned on PostgreSQL 18: the loss is quoted, the rules are kept, the old primary never writes again',
  LONG,
  () =>
    withFailoverScene({ version: 18, more: { objectives: { rpo: '1h' } } }, async (scene) => {
      const { world, a, b, lb } = scene;
      await using hammer = new Hammer({ 'db-a': a, 'db-b': b });
      await ask(world, 'backup', 'shop');
      const lives = await world.cli([...WEB, '--to', 'west', '--unplanned', '--json']);
      assert.equal(lives.code, 5);
      assert.match(JSON.stringify(lives.json['error']), /it lives: lifeboat failover web/);
      const before = hammer.of('db-a').length;
      // From here on the standby gets nothing, and the vault does.
      await b.sql(`alter system set primary_conninfo = ''`);
      await b.sql('select pg_reload_conf()');
      await until('no receiver', async () => ((await b.sql('select 1 from pg_stat_wal_receiver')).length === 0 ? true : undefined)); // prettier-ignore
      for (let i = 0; i < 20; i++) await hammer.hits('db-a');
      hammer.pause();
      const [at] = await a.sql('select pg_current_wal_flush_lsn()::text as lsn');
      const end = String(at?.['lsn']);
      await until('the vault has it', async () => {
        const { wal } = await ask<{ wal: WalAnswer }>(world, 'wal', 'shop');
        return lsnDistanceBytes(end, wal.ranges.at(-1)?.endLsn ?? '0/0') >= 0 || undefined;
      });
      await killed(a);
      const { loss, lost: tail, fence, promotion, next } = await resultOf(scene, '--to', 'west', '--unplanned');
      assert.deepEqual(fence?.map(({ outcome }) => outcome), ['confirmed']); // prettier-ignore
      assert.ok(loss?.known);
      const lostBytes = lsnDistanceBytes(promotion.forkLsn, end);
      // All that was acknowledged lies before what was quoted, and what was quoted is more than nothing.
      assert.ok(lsnDistanceBytes(end, loss.sample.lsn) >= 0 && loss.bytes > 0 && lostBytes > 0, JSON.stringify(loss));
      const there = await hammeredIn(b);
      const lost = hammer.of('db-a').filter((id) => !there.has(id));
      assert.ok(lost.length > 0 && lost.length <= hammer.of('db-a').length - before + 1, `${lost.length} rows`);
      // Each row was a transaction of its own; heartbeats are some, too.
      assert.ok(tail && tail.commits >= lost.length && tail.bytes >= lostBytes, JSON.stringify(tail));
      assert.deepEqual((await lb.state()).traffic, { [addressIn(b)]: 100 });
      assert.match(next[0] ?? '', /keep db-a away/);
      // A supervisor that brings it back finds a standby.
      assert.ok(existsSync(join(a.dataDir, 'standby.signal')));
      await a.start();
      assert.equal(await isStandby(a), true);
      await b.sql(`insert into hammer values ('new')`);
    }),
);

const ONE_APPROVES = { approvals: { breakGlass: { of: 1 } }, drill: { settings: { listen_addresses: '*' } } };

test('a drill and unplanned on PostgreSQL 15 without a vault that knows: taken back, then by break-glass', LONG, () =>
  withFailoverScene({ version: 15, commands: true, more: ONE_APPROVES }, async (scene) => {
    const { world, a, b, lb } = scene;
    {
      await using hammer = new Hammer({ 'db-a': a, 'db-b': b });
      await hammer.hits('db-a');
      await drilled(scene);
      await switchOver(scene, hammer, { to: 'db-b', site: 'west' });
      await switchOver(scene, hammer, { to: 'db-a', site: 'east' });
    }
    await killed(a);
    const refused = await world.cli([...WEB, '--to', 'west', '--unplanned', '--json']);
    assert.equal(refused.code, 5, refused.out);
    assert.match(JSON.stringify(refused.json['error']), /what is lost is unknown.*--break-glass/);
    const { timeline } = await world.client.workflow.getHandle('failover/web').query(progressQuery);
    const [, file = ''] = timeline.flatMap(({ what }) => /^report: (.*) on host /.exec(what) ?? []);
    await ask(world, 'report', 'verify', file);
    assert.match(await readFile(file, 'utf8'), /Failed: Precondition.*confirmed/s);
    assert.deepEqual((await lb.state()).traffic, { [addressIn(a)]: 100 });
    assert.ok(!existsSync(join(a.dataDir, 'standby.signal')), 'it is as it was found');
    await a.start();
    assert.deepEqual([await isStandby(a), await isStandby(b)], [false, true]);
    await until(
      'it follows again',
      async () =>
        (await b.sql(`select 1 from pg_stat_wal_receiver where status = 'streaming'`)).length === 1 || undefined,
    );
    await killed(a);
    await ask(world, ...WEB, '--to', 'west', '--unplanned', '--break-glass', 'the site burns', '--detach');
    const evidence = await until('it asks', async () => {
      const { code, json } = await world.cli(['approve', 'failover/web', '--json']);
      return code === 0 ? (json['pending'] as { evidence: { hash: string } }).evidence.hash : undefined;
    });
    await ask(world, 'approve', 'failover/web', '--evidence', evidence, '--as', 'ben');
    const { approvals, report } = (await world.client.workflow.getHandle('failover/web').result()) as FailoverResult;
    assert.deepEqual(approvals.map(({ by }) => by), ['ben']); // prettier-ignore
    const { change } = await checkedReport(world, report);
    assert.deepEqual(change?.approvals, approvals);
    assert.deepEqual([change?.breakGlass, change?.evidence?.hash], ['the site burns', approvals[0]?.hash]);
    assert.match(
      await readFile(report?.postMortem ?? '', 'utf8'),
      /^## Causes$.*\| keep db-a away from every client/ms,
    );
    assert.equal(await isStandby(b), false);
    assert.equal(await runningServer(a.dataDir), undefined);
  }),
);
