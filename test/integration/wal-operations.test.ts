import assert from 'node:assert/strict';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Finding } from '../../client/doctor/finding.ts';
import { compareLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { WalAnswer } from '../../workflows/model/results.ts';
import type { CompactResult, VerifyAllResult } from '../../workflows/model/verify-result.ts';
import type { WalVerified } from '../../workflows/model/wal-verify.ts';
import { ask, lines, until } from '../support/cli-ask.ts';
import type { Lifeboat, WorkerProcess } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import type { Row } from '../support/refused.ts';
import { refuse } from '../support/refused.ts';
import { flipBit } from '../support/vault.ts';

test('everything stored is read, compacted and mended, by the CLI', async (t) => {
  await withLifeboat(async (world) => {
    await world.server.sql('create table orders (id int, note text)');
    const wal = 'wal: { shipEvery: 200ms, heartbeatEvery: 500ms, streams: 2, hosts: [here, there] }';
    await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', [wal])].join('\n'));
    const here = await world.startWorker();
    await world.startWorker('there');
    const taken: PointSummary[] = [];
    for (const id of [1, 2]) {
      const rows = `insert into orders select ${id}, md5(g::text) from generate_series(1, 2000) g`;
      await world.server.sql(rows);
      taken.push((await ask<{ point: PointSummary }>(world, 'backup', 'shop')).point);
      await world.server.sql(rows);
    }
    await oneStreamDies(t, world, here);
    await allGood(t, world);
    await damaged(t, world, taken as [PointSummary, PointSummary]);
    await compacted(t, world);
    // Nothing writes into the vault any more.
    await t.test('what cannot be is refused with one message', (inner) => refuse(inner, world, refusals()));
    await emptied(t, world);
    await slotLost(t, world);
  });
});

const walOf = async (world: Lifeboat): Promise<WalAnswer> => (await ask<{ wal: WalAnswer }>(world, 'wal', 'shop')).wal;

async function oneStreamDies(t: TestContext, world: Lifeboat, here: WorkerProcess): Promise<void> {
  await t.test('two streams: the worker of one is killed, and WAL goes on without a gap; both are shown', async () => {
    const states = ({ server }: WalAnswer): unknown => [server, ...(server?.others ?? [])].map((slot) => [slot?.slot, slot?.slotState]); // prettier-ignore
    await until('both streams', async () => {
      const now = states(await walOf(world));
      const both = [['lifeboat_shop', 'streaming'], ['lifeboat_shop_2', 'streaming']]; // prettier-ignore
      return isDeepStrictEqual(now, both) ? true : undefined;
    });
    await here.stop('SIGKILL');
    await world.server.sql(`insert into orders select 3, md5(g::text) from generate_series(1, 60000) g`);
    const [row] = await world.server.sql('select pg_current_wal_flush_lsn()::text as lsn');
    await until('the other stream has it all', async () => {
      const { ranges } = await walOf(world);
      return compareLsn(ranges.at(-1)?.endLsn ?? '0/0', String(row?.['lsn'])) >= 0 ? true : undefined;
    });
    assert.match(await lines(world, 'wal', 'shop'), /slot of another stream +lifeboat_shop_2: streaming/);
    await world.startWorker();
    await until('the first stream is back', async () => {
      const { server } = await walOf(world);
      return server?.slotState === 'streaming' ? true : undefined;
    });
    const { ranges, gaps } = await walOf(world);
    assert.deepEqual([ranges.length, gaps], [1, []]);
    assert.match(await lines(world, 'apply'), /= wal\/shop\n= wal\/shop\/2\n/);
  });
}

async function allGood(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('good is good: WAL alone, and everything', async () => {
    const { verified } = await ask<{ verified: WalVerified }>(world, 'wal', 'verify', 'shop');
    assert.ok(verified.ok && verified.records > 4000 && verified.points === 2);
    assert.match(await lines(world, 'wal', 'verify', 'shop', '--since', '0/0'), /^WAL of shop is whole: \d+ objects/);
    const all = (await ask<{ verified: VerifyAllResult }>(world, 'verify', 'shop', '--all')).verified;
    assert.deepEqual([all.ok, all.points.points, all.points.damagedCount], [true, 2, 0]);
    assert.match(
      await lines(world, 'verify', 'shop', '--all'),
      /^2 points of shop are whole: .*\nWAL of shop is whole/,
    );
  });
}

function refusals(): Row[] {
  const verify = ['wal', 'verify', 'shop'];
  return [
    {
      ...{ name: 'a timeline of which there is no WAL', words: [...verify, '--timeline', '7'], type: 'NotFound' },
      ...{ message: 'vault holds no WAL of shop: timeline 7', place: 'source shop', expected: /is stored/ },
      ...{ found: 'timeline 7', next: 'lifeboat wal shop' },
    },
    {
      ...{ name: 'since nobody knows when', words: [...verify, '--since', 'yesterday'], type: 'ConfigInvalid' },
      ...{ message: /^since "yesterday" is neither/, place: 'since', expected: /with its offset/ },
      ...{ found: 'yesterday', next: /write it like/ },
    },
    ...[
      ['wal', 'verify', 'shp'],
      ['wal', 'compact', 'shp'],
      ['verify', 'shp', '--all'],
    ].map((words): Row => ({
      ...{ name: `${words.join(' ')}: a source that does not exist`, words, type: 'NotFound' },
      ...{ message: /did you mean "shop"/, place: /^sources in /, expected: /shop/, found: 'shp' },
      next: 'lifeboat config explain sources',
    })),
  ];
}

/** Flips a bit in the midst of a file of the vault. */
async function harm(world: Lifeboat, key: string): Promise<() => Promise<void>> {
  const path = join(world.vault, key);
  const before = await readFile(path);
  await writeFile(path, flipBit(Buffer.from(before), before.length >> 1));
  return () => writeFile(path, before);
}

/** Name of the object that has a position. */
function holding(names: readonly string[], lsn: bigint): string {
  const found = names.find((name) => {
    const [start = '', end = ''] = name.split('-');
    return BigInt(`0x${start}`) <= lsn && BigInt(`0x${end}`) > lsn;
  });
  return found ?? assert.fail(`nothing holds ${lsn}`);
}

async function damaged(t: TestContext, world: Lifeboat, [first, second]: [PointSummary, PointSummary]): Promise<void> {
  await t.test('what is damaged is named, all of it, and what it costs; the rest is read all the same', async () => {
    const part = `shop/points/${first.point}/p000001`;
    const folder = `shop/wal/${first.systemId}/00000001`;
    const wal = `${folder}/${holding(await readdir(join(world.vault, folder)), parseLsn(first.startLsn))}`;
    const mend = [await harm(world, part), await harm(world, wal)];
    const said = await world.cli(['verify', 'shop', '--all', '--json']);
    assert.equal(said.code, 6, said.err);
    const { evidence, place } = said.json['error'] as { evidence: VerifyAllResult; place: string };
    assert.equal(place, `shop/${first.point}`);
    assert.deepEqual(evidence.points.damaged.map(({ point }) => point), [first.point]); // prettier-ignore
    assert.match(evidence.points.damaged[0]?.reason ?? '', new RegExp(`part 1|${part}|${wal}`));
    assert.equal(evidence.points.points, 2);
    assert.deepEqual(evidence.wal?.faults.map((fault) => fault.place), [wal]); // prettier-ignore
    assert.deepEqual(evidence.wal?.unusable.map(({ point }) => point), [first.point]); // prettier-ignore
    assert.ok(evidence.wal?.lost.length === 1);
    const person = (await world.cli(['verify', 'shop', '--all'])).err;
    for (const line of [`fail  ${first.point}: `, `fail  ${wal}: `]) assert.ok(person.includes(line), person);
    assert.ok(!person.includes(`fail  ${second.point}`), person);
    for (const undo of mend) await undo();
    assert.ok((await ask<{ verified: VerifyAllResult }>(world, 'verify', 'shop', '--all')).verified.ok);
  });
}

async function compacted(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('pieces that a stream left become one object, and nothing can be reached less', async () => {
    for (const id of ['wal/shop', 'wal/shop/2']) {
      await ask(world, 'cancel', id);
      await world.cli(['status', id, '--follow']);
    }
    const before = await walOf(world);
    const none = (await ask<{ compacted: CompactResult }>(world, 'wal', 'compact', 'shop')).compacted;
    assert.deepEqual([none.objects, none.pieces], [0, 0], 'the open segment is its stream’s');
    const { compacted: done } = await ask<{ compacted: CompactResult }>(world, 'wal', 'compact', 'shop', '--open');
    assert.deepEqual([done.objects, done.faultCount, done.refused], [1, 0, []]);
    assert.ok(done.pieces > 1);
    const after = await walOf(world);
    assert.deepEqual(after.windows, before.windows);
    const objects = (each: WalAnswer): number => each.ranges.reduce((sum, range) => sum + range.objects, 0);
    assert.equal(objects(after), objects(before) - done.pieces + 1);
    assert.ok((await ask<{ verified: WalVerified }>(world, 'wal', 'verify', 'shop')).verified.ok);
  });
}

async function emptied(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('a vault that was emptied is not whole', async (inner) => {
    const folders = ['points', 'wal'].map((name) => join(world.vault, 'shop', name));
    for (const folder of folders) await rename(folder, `${folder}.aside`);
    const rows = [
      ['wal', 'verify', 'shop'],
      ['verify', 'shop', '--all'],
    ].map((words): Row => ({
      ...{ name: words.join(' '), words, type: 'NotFound', message: /^vault holds nothing of shop/ },
      ...{ place: 'source shop in store local', expected: /recovery points/, found: 'neither', next: /right place/ },
    }));
    await refuse(inner, world, rows);
    for (const folder of folders) await rename(`${folder}.aside`, folder);
  });
}

async function slotLost(t: TestContext, world: Lifeboat): Promise<void> {
  await t.test('a slot that was invalidated is what the doctor says, with what mends it', async () => {
    const { server } = world;
    await server.sql(`alter system set max_slot_wal_keep_size = '32MB'`);
    await server.sql(`alter system set max_wal_size = '32MB'`);
    await server.sql('select pg_reload_conf()');
    await until('the slot is lost', async () => {
      await server.sql(`select pg_logical_emit_message(false, 'test', 'x'); select pg_switch_wal()`);
      await server.sql('checkpoint');
      const slots = await server.sql('select wal_status as status from pg_replication_slots');
      return slots.every(({ status }) => status === 'lost') ? true : undefined;
    });
    const { json, code } = await world.cli(['doctor', '--json']);
    const found = (json['checks'] as Finding[]).filter(({ name }) => name === 'source shop: replication slot');
    assert.deepEqual(found.map(({ state }) => state), ['fail', 'fail']); // prettier-ignore
    for (const [index, slot] of ['lifeboat_shop', 'lifeboat_shop_2'].entries()) {
      assert.match(found[index]?.found ?? '', new RegExp(`^${slot} was invalidated`));
      assert.match(found[index]?.hint ?? '', /^lifeboat apply /);
    }
    assert.notEqual(code, 0);
  });
}
