import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { checkpoint } from '../../activities/cluster/checkpoint.ts';
import { writeNodeFile } from '../../activities/cluster/files.ts';
import { untilFollowing } from '../../activities/cluster/follow.ts';
import { removeBeside } from '../../activities/cluster/kept-files.ts';
import { mark } from '../../activities/cluster/marker.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { withNode } from '../../activities/cluster/node.ts';
import { examine } from '../../activities/cluster/old-node.ts';
import { startNode } from '../../activities/cluster/power.ts';
import { promote, receivedAt } from '../../activities/cluster/promote.ts';
import { quarantine } from '../../activities/cluster/quarantine.ts';
import { repoint } from '../../activities/cluster/repoint.ts';
import { reseed } from '../../activities/cluster/reseed.ts';
import { rewind } from '../../activities/cluster/rewind.ts';
import { ensureSlot } from '../../activities/cluster/slots.ts';
import { writeStandbyFiles } from '../../activities/cluster/standby-files.ts';
import { trace } from '../../activities/cluster/trace.ts';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { peerSlot } from '../../workflows/model/cluster.ts';
import { wasNotAsked } from '../../workflows/model/failover.ts';
import type { RejoinChoice } from '../../workflows/model/rejoin.ts';
import { chooseRejoin } from '../../workflows/model/rejoin-choice.ts';
import { BESIDE, cutOff, diverge, write } from '../support/diverged.ts';
import type { Pair } from '../support/failover-pair.ts';
import { hammeredIn, isStandby, withPair } from '../support/failover-pair.ts';
import { nodeUses } from '../support/node-uses.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres } from '../support/postgres.ts';

/** Both servers in the hands of this process: `old` was the primary, `now` is. */
class Both {
  readonly old: NodeUse;
  readonly now: NodeUse;
  readonly servers: Pair;
  readonly mover: { epoch: number; run: string };

  constructor(servers: Pair, run: string, epoch: number) {
    this.servers = servers;
    [this.old, this.now] = nodeUses([servers.a, servers.b]);
    this.mover = { epoch, run };
  }

  get order(): { epoch: number; run: string; upstream: string } {
    return { ...this.mover, upstream: 'db-b' };
  }

  async choose(): Promise<RejoinChoice> {
    await quarantine(this.old, this.mover);
    const first = await trace(this.now);
    const old = await examine(this.old, first);
    return chooseRejoin(old, old.digests ? await trace(this.now, old.digests) : first);
  }

  async rewind(run: Run = plainRun()): Promise<{ ok: boolean; said: string }> {
    await this.holdSlot();
    await checkpoint(this.now);
    return rewind({ ...this.old, run }, this.order);
  }

  async reseed(): Promise<void> {
    await this.holdSlot();
    await reseed(this.old, this.order);
    // Its answer was lost.
    await reseed(this.old, this.order);
  }

  async holdSlot(): Promise<void> {
    await withNode(this.now, (sql) => ensureSlot(sql, peerSlot('db-a')));
  }

  /** It follows, has what the primary has and nothing else, and is the server that it was. */
  async proven(): Promise<void> {
    const { a, b } = this.servers;
    await startNode(this.old);
    const marked = await mark(this.now, { ...this.mover, marker: this.mover.run });
    const stray = new pg.Client({ ...a.connection, application_name: 'shop' });
    await stray.connect();
    const following = await untilFollowing(this.old, { ...marked, withinMs: 60_000 });
    await stray.end();
    assert.ok(following.ok, JSON.stringify(following.checks));
    assert.ok((following.clients ?? 0) >= 1, 'who still comes there is counted');
    assert.deepEqual([await isStandby(a), await isStandby(b)], [true, false]);
    assert.deepEqual(await hammeredIn(a), await hammeredIn(b));
    const [row] = await a.sql(`select current_setting('port') as port, current_setting('log_line_prefix') as own`);
    assert.deepEqual([row?.['port'], row?.['own']], [String(a.port), a.dataDir]);
    await this.staysWhereItIs(marked.timeline);
    await removeBeside(this.old);
    assert.equal(existsSync(a.dataDir + BESIDE), false);
  }

  /** A standby that has more than was taken over, and a primary, are not pointed at another node. */
  async staysWhereItIs(oldTimeline: number): Promise<void> {
    const conninfo = `select setting from pg_settings where name = 'primary_conninfo'`;
    const [before, order] = [
      await this.servers.a.sql(conninfo),
      { ...this.mover, upstream: 'db-a', oldTimeline, forkLsn: '0/1' },
    ];
    const refused = [await repoint(this.old, order), await repoint(this.now, order)];
    assert.deepEqual(refused.map(({ ok }) => ok), [false, false]); // prettier-ignore
    assert.match(
      refused.map(({ found }) => found).join('; '),
      /only what is before 0\/1 was taken over; it is a primary/,
    );
    assert.deepEqual(await this.servers.a.sql(conninfo), before);
  }
}

/** `a` becomes the primary. That it is asked stands on its disk before it is, and counts when the answer is lost. */
async function promotedOnce({ a, b }: Pair, epoch: number): Promise<void> {
  const [use] = nodeUses([a, b]);
  const file = join(a.dataDir, 'lifeboat.promoting');
  const { timeline } = await withNode(use, (sql) => receivedAt(use, sql));
  // More than it has: whoever judges that asks nobody.
  const order = { epoch, run: 'promotion', timeline, lsn: 'FF/0', followers: [] };
  await assert.rejects(promote(use, order), (error) => wasNotAsked(error));
  assert.equal(existsSync(file), false);
  // Another run had asked, and nothing came of it.
  await writeNodeFile(use, 'lifeboat.promoting', String(epoch - 1));
  await assert.rejects(promote(use, order), (error) => wasNotAsked(error));
  assert.equal(await isStandby(a), true);
  // This run has asked, and its worker died: from then on the server may be anywhere on its way.
  await writeNodeFile(use, 'lifeboat.promoting', String(epoch));
  const promotion = await promote(use, order);
  assert.deepEqual([promotion.oldTimeline, await isStandby(a), existsSync(file)], [timeline, false, false]);
}

/** Something in its settings that the other has not. */
async function brand(...servers: TestPostgres[]): Promise<void> {
  for (const server of servers) {
    await server.sql(`alter system set log_line_prefix = '${server.dataDir}'`);
    await server.sql('select pg_reload_conf()');
  }
}

test('PostgreSQL 15: rewound right after a promotion; without checksums and hints a new copy', () =>
  withPostgres({ version: 15, settings: { wal_log_hints: 'on', full_page_writes: 'on' } }, (primary) =>
    withPair(primary, async ({ a, b }) => {
      await brand(a, b);
      await diverge({ a, b }, ['one', 'two']);
      const first = new Both({ a, b }, 'first', 1);
      const choice = await first.choose();
      assert.equal(choice.path, 'rewind', choice.why);
      assert.equal(choice.salvageFromLsn, choice.forkLsn);
      assert.deepEqual(await first.rewind(), { ok: true, said: '' });
      // Its answer was lost.
      assert.deepEqual(await rewind(first.old, first.order), { ok: true, said: '' });
      await first.proven();
      assert.ok(!(await hammeredIn(a)).has('one'));

      await b.sql('alter system set wal_log_hints = off');
      await b.stop();
      await b.start();
      await write(b, 'without-hints');
      await diverge({ a: b, b: a }, ['three']);
      const second = new Both({ a: b, b: a }, 'second', 2);
      const other = await second.choose();
      assert.equal(other.path, 'reseed');
      assert.match(other.why, /neither data checksums nor wal_log_hints/);
      assert.equal(other.salvageFromLsn, other.forkLsn);
      await second.reseed();
      await second.proven();
    }),
  ));

test('PostgreSQL 18: as it is, as a new copy where WAL or a rewind is missing, and where two went on under one number', () =>
  withPostgres({ version: 18, settings: { full_page_writes: 'on', wal_keep_size: '256MB' } }, (primary) =>
    withPair(primary, async ({ a, b }) => {
      await brand(a, b);
      await cutOff({ a, b });
      await a.stop();
      await b.sql('select pg_promote()');
      await write(b, 'behind');
      const clean = new Both({ a, b }, 'clean', 1);
      const follow = await clean.choose();
      // What a shutdown writes behind the fork was not sent: it is nothing that anybody would miss, and is rewound.
      assert.equal(follow.path, 'rewind', follow.why);
      assert.ok((await clean.rewind()).ok);
      await clean.proven();

      // The same with nothing behind: the standby was there to the end.
      await b.stop();
      await promotedOnce({ a, b }, 2);
      await write(a, 'after the end');
      const whole = new Both({ a: b, b: a }, 'whole', 2);
      const as = await whole.choose();
      assert.deepEqual([as.path, as.salvageFromLsn], ['follow', undefined], as.why);
      await whole.holdSlot();
      await writeStandbyFiles(whole.old, 'db-b');
      await whole.proven();

      await diverge({ a, b }, ['cut']);
      const cut = new Both({ a, b }, 'cut', 3);
      assert.equal((await cut.choose()).path, 'rewind');
      const stop = new AbortController();
      const dying = plainRun({
        signal: stop.signal,
        progress: ({ phase }) => (phase === 'pg_rewind' ? stop.abort(new Error('killed')) : undefined),
      });
      await assert.rejects(cut.rewind(dying), /killed/);
      assert.match((await cut.rewind()).said, /begun before/);
      const again = new Both({ a, b }, 'again', 4);
      const anew = await again.choose();
      assert.deepEqual([anew.path, anew.why], ['reseed', 'a rewind of it was begun and did not come to its end']);
      await again.reseed();
      await again.proven();

      await cutOff({ a: b, b: a });
      await a.sql('select pg_promote()');
      await write(a, 'far');
      await b.sql('alter system set wal_keep_size = 0');
      await b.sql('select pg_reload_conf()');
      await b.sql(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active`);
      for (let i = 0; i < 4; i++) {
        await write(b, `lost-${i}`);
        await b.sql('select pg_switch_wal()');
        await b.sql('checkpoint');
      }
      await b.stop('immediate');
      const recycled = new Both({ a: b, b: a }, 'recycled', 5);
      const gone = await recycled.choose();
      assert.equal(gone.path, 'reseed');
      assert.match(gone.why, /^it has no WAL of/);
      await recycled.reseed();
      await recycled.proven();

      // A standby whose signal somebody removed: both are primaries on one timeline.
      await b.stop();
      await rm(join(b.dataDir, 'standby.signal'));
      await b.start();
      await write(b, 'twin');
      await write(a, 'real');
      await b.stop('immediate');
      const twins = new Both({ a: b, b: a }, 'twins', 6);
      const one = await twins.choose();
      assert.equal(one.path, 'reseed');
      assert.match(one.why, /under one number/);
      assert.ok(one.salvageFromLsn !== undefined && one.forkLsn === undefined);
      await twins.reseed();
      await twins.proven();
    }),
  ));
