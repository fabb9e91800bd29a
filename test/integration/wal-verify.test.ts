import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { RunJob, RunSaid } from '../../activities/sources/postgres/wal/verify/check-run.ts';
import { checkRun } from '../../activities/sources/postgres/wal/verify/check-run.ts';
import type { LogShipping, WalVault } from '../../activities/sources/source.ts';
import type { CheckedWal, Compacted } from '../../activities/sources/stored-wal-care.ts';
import { formatLsn, lsnDistanceBytes, parseLsn, segmentName } from '../../workflows/model/lsn.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import type { WalFault } from '../../workflows/model/wal-verify.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { until } from '../support/cli-ask.ts';
import { recoveryOptions } from '../support/recovery.ts';
import { edit, flipBit, heldThreads } from '../support/vault.ts';
import type { Shipped } from '../support/wal-stream.ts';
import { covers, load, released, ship, withWal } from '../support/wal-stream.ts';

const SEGMENT = 2 ** 24;

heldThreads();

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: stored WAL is followed record by record, and what is wrong is named`, async (t) => {
    await withWal({ version, settings: { wal_keep_size: '1GB', max_wal_size: '1GB' } }, async (at) => {
      await twoTimelines(at);
      await goodWal(t, at);
      await brokenRecords(t, at);
      await brokenObjects(t, at);
      await compaction(t, at);
      await brokenHistory(t, at);
    });
  });
}

/** Small transactions, a record over three segments, a switch, and a timeline that begins in the midst of a segment. */
async function twoTimelines(at: Shipped): Promise<void> {
  const { server } = at;
  const first = ship(server, at.wal);
  await load(server, 4000);
  await server.sql(`select pg_logical_emit_message(false, 'test', repeat('0123456789abcdef', 2200000))`);
  await server.sql('begin; insert into t (body) select g::text from generate_series(1, 500) g; rollback');
  await server.sql('select pg_switch_wal()');
  await load(server, 4000);
  await covers(first, at);
  // Of one piece each.
  for (let piece = 0; piece < 2; piece++) {
    await load(server, 100);
    await covers(first, at);
  }
  await first.stop();
  await released(server);
  await server.stop();
  await writeFile(join(server.dataDir, 'recovery.signal'), '');
  await appendFile(join(server.dataDir, 'postgresql.auto.conf'), `restore_command = 'false'\n`);
  await server.start();
  await until('it is promoted', async () => {
    const [row] = await server.sql('select pg_is_in_recovery() as recovers');
    return row?.['recovers'] === false ? true : undefined;
  });
  const second = ship(server, at.wal);
  for (let piece = 0; piece < 3; piece++) {
    await load(server, 500);
    await covers(second, at);
  }
  await second.stop();
  await released(server);
  const timelines = (await at.wal.list({ systemId: at.id })).map(({ timeline }) => timeline);
  assert.deepEqual([...new Set(timelines)], [1, 2]);
}

const logOf = ({ server }: Shipped): LogShipping => createLogShipping('shop', recoveryOptions(server), plainRun());

interface Found {
  faults: WalFault[];
  steps: CheckedWal[];
  records: number;
}

/** Everything, or what an attempt that goes on behind a step reads. */
async function check(at: Shipped, after?: CheckedWal): Promise<Found> {
  const { id: systemId, wal } = at;
  const log = logOf(at);
  const objects = await wal.list({ systemId });
  const checked = await log.checkHistories(wal, { systemId, segmentBytes: SEGMENT, objects, timelines: [] });
  const steps: CheckedWal[] = [];
  const place = after && { timeline: after.timeline, lsn: after.endLsn, chain: JSON.parse(JSON.stringify(after.chain)) as unknown }; // prettier-ignore
  const histories = checked.histories;
  const order = { systemId, segmentBytes: SEGMENT, objects, histories, serverVersion: at.server.version * 10_000 };
  for await (const step of log.check(wal, { ...order, ...(place ? { after: place } : {}) })) steps.push(step);
  return {
    faults: [...steps.flatMap(({ faults }) => faults), ...checked.faults],
    steps,
    records: steps.reduce((sum, { records }) => sum + records, 0),
  };
}

/** Records of a stretch as pg_waldump tells them: position, and length of all of it. */
function dumped(
  { server }: Shipped,
  timeline: number,
  span: { from: string; to: string },
): { lsn: bigint; bytes: number }[] {
  const words = ['-p', join(server.dataDir, 'pg_wal'), '-t', String(timeline), '-s', span.from, '-e', span.to];
  const { stdout } = spawnSync(join(server.binaries, 'pg_waldump'), words, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  return [...stdout.matchAll(/^rmgr: .*? len \(rec\/tot\):\s*\d+\/\s*(\d+), .*? lsn: ([0-9A-F]+\/[0-9A-F]+),/gm)].map(
    ([, bytes, lsn = '']) => ({ lsn: parseLsn(lsn), bytes: Number(bytes) }),
  );
}

async function goodWal(t: TestContext, at: Shipped): Promise<void> {
  await t.test('nothing is wrong, and every record that pg_waldump knows is counted', async () => {
    const { faults, records, steps } = await check(at);
    assert.deepEqual(faults, []);
    const ranges = rangesOf(await at.wal.list({ systemId: at.id }));
    const known = ranges.flatMap(({ timeline, startLsn, endLsn }) =>
      dumped(at, timeline, { from: startLsn, to: endLsn }),
    );
    assert.ok(known.length > 10_000);
    assert.equal(records, known.length);
    assert.equal(
      steps.reduce((sum, { walBytes }) => sum + walBytes, 0),
      ranges.reduce((sum, { startLsn, endLsn }) => sum + lsnDistanceBytes(startLsn, endLsn), 0),
    );
  });

  await t.test(
    'another attempt goes on behind any step, also in the midst of a record, and reads the rest',
    async () => {
      const { steps, records } = await check(at);
      let before = 0;
      for (const [index, step] of steps.entries()) {
        before += step.records;
        const rest = await check(at, step);
        assert.deepEqual(rest.faults, []);
        assert.equal(rest.steps.length, steps.length - index - 1);
        assert.equal(before + rest.records, records);
      }
    },
  );
}

/** The beginning of the first segment as the server wrote it, with its records. */
async function segmentOf(
  at: Shipped,
): Promise<{ bytes: Buffer; job: RunJob; records: { lsn: bigint; bytes: number }[] }> {
  const objects = (await at.wal.list({ systemId: at.id })).filter(({ timeline }) => timeline === 1);
  const start = parseLsn(objects[0]?.startLsn ?? '');
  const all = await readFile(join(at.server.dataDir, 'pg_wal', segmentName(1, start, SEGMENT)));
  const bytes = all.subarray(0, 2 ** 20);
  const job = { systemId: at.id, timeline: 1, segmentBytes: SEGMENT, forks: [], magic: 0, start: Number(start) };
  const to = formatLsn(start + BigInt(bytes.length) - 8192n);
  return { bytes, job, records: dumped(at, 1, { from: formatLsn(start), to }) };
}

async function brokenRecords(t: TestContext, at: Shipped): Promise<void> {
  await t.test('a bit that is another, in a record or in the header of a page, is found where it is', async () => {
    const { bytes, job, records } = await segmentOf(at);
    assert.equal(checkRun(bytes, job).wrong, undefined);
    const flipped = (position: number): RunSaid['wrong'] => {
      flipBit(bytes, position - job.start);
      const { wrong } = checkRun(bytes, job);
      flipBit(bytes, position - job.start);
      return wrong;
    };
    // Those that no page cuts: what pg_waldump calls a record's length has no page headers in it.
    const inPage = records.filter(({ lsn, bytes: length }) => Number(lsn % 8192n) + length <= 8192 && length > 24);
    const step = Math.floor(inPage.length / 40);
    for (let index = 5; index < inPage.length; index += step) {
      const { lsn, bytes: length } = inPage[index] ?? assert.fail();
      for (const offset of [4, 9, 17, 21, 24, length - 1])
        assert.equal(flipped(Number(lsn) + offset)?.at, Number(lsn), `byte ${offset} of ${formatLsn(lsn)}`);
    }
    for (const page of [0, 8192, 8192 * 100])
      for (const [offset, what] of [
        [0, /magic/],
        [2, /goes on|flags/],
        [4, /timeline/],
        [9, /address/],
      ] as const)
        // prettier-ignore
        assert.match(flipped(job.start + page + offset)?.what ?? '', what, `page ${page}`);
    assert.match(flipped(job.start + 25)?.what ?? '', /system identifier/);
  });
}

/** Other bytes under the same name, as whoever has the keys could write them. */
async function replace({ wal }: Shipped, object: WalObject, change: (bytes: Buffer) => Buffer): Promise<void> {
  const { systemId, timeline, startLsn, lastCommitMicros: micros } = object;
  const bytes = change(await wal.read(object));
  await wal.remove(object);
  await wal.put({ systemId, timeline, startLsn, ...(micros === undefined ? {} : { lastCommitMicros: micros }) }, bytes);
}

async function brokenObjects(t: TestContext, at: Shipped): Promise<void> {
  const whole = (await at.wal.list({ systemId: at.id })).filter(
    ({ startLsn, endLsn }) => lsnDistanceBytes(startLsn, endLsn) === SEGMENT,
  );
  const [, second, third] = whole as [WalObject, WalObject, WalObject];
  await t.test('an object whose cipher is wrong is named, and so is one that is cut short', async () => {
    const before = await readFile(file(at, second));
    for (const change of [
      (bytes: Buffer) => flipBit(bytes, bytes.length >> 1),
      (bytes: Buffer) => bytes.subarray(0, -9),
    ]) {
      await edit(file(at, second), change);
      const { faults } = await check(at);
      assert.deepEqual(faults.map(({ place }) => place), [second.key]); // prettier-ignore
      await writeFile(file(at, second), before);
    }
    assert.deepEqual((await check(at)).faults, []);
  });

  await t.test(
    'a record over several segments is checked as a whole, also by an attempt that begins inside',
    async () => {
      const before = await readFile(file(at, second));
      // In the midst of a page, and of the long message.
      await replace(at, second, (bytes) => flipBit(bytes, SEGMENT / 2 + 100));
      const { faults, steps } = await check(at);
      assert.deepEqual(faults.map(({ place }) => place), [third.key]); // prettier-ignore
      assert.match(faults[0]?.what ?? '', /record checksum/);
      const inside = steps.find(({ endLsn }) => endLsn === second.endLsn);
      assert.equal((await check(at, inside)).faults.length, 1);
      await writeFile(file(at, second), before);
    },
  );

  await t.test('a record that does not go on is found where it should', async () => {
    const before = await readFile(file(at, second));
    await replace(at, second, () => Buffer.alloc(SEGMENT));
    const { faults } = await check(at);
    assert.ok(
      faults.some(({ place, found }) => place === second.key && /zeros/.test(found)),
      JSON.stringify(faults),
    );
    await writeFile(file(at, second), before);
  });
}

type Done = Compacted | { fault: WalFault };

/** A vault that writes down what it is asked for. */
function noting(wal: WalVault): { wal: WalVault; calls: string[] } {
  const calls: string[] = [];
  const noted: WalVault = {
    ...wal,
    put: (piece, bytes) => (calls.push(`put ${piece.startLsn}`), wal.put(piece, bytes)),
    read: (object) => (calls.push(`read ${object.key}`), wal.read(object)),
    remove: (object) => (calls.push(`remove ${object.key}`), wal.remove(object)),
  };
  return { wal: noted, calls };
}

async function compaction(t: TestContext, at: Shipped): Promise<void> {
  const list = (): Promise<WalObject[]> => at.wal.list({ systemId: at.id });
  const keys = async (): Promise<string[]> => (await list()).map(({ key }) => key);
  const compact = async (wal: WalVault, open = false): Promise<Done[]> => {
    const done: Done[] = [];
    const order = { systemId: at.id, segmentBytes: SEGMENT, objects: await list(), open };
    for await (const each of logOf(at).compact(wal, order)) done.push(each);
    return done;
  };
  const ranges = async (): Promise<unknown[]> =>
    rangesOf(await list()).map(({ timeline, startLsn, endLsn, lastCommitAt }) => [timeline, startLsn, endLsn, lastCommitAt]); // prettier-ignore

  await t.test('pieces that do not agree are named and stay', async () => {
    const piece = (await list()).findLast(({ timeline }) => timeline === 1) ?? assert.fail();
    const kept = await readFile(file(at, piece));
    const other = flipBit(await at.wal.read(piece), 3);
    const { systemId, timeline, startLsn } = piece;
    await at.wal.remove(piece);
    // Under a name of its own: that of another commit.
    await at.wal.put({ systemId, timeline, startLsn, lastCommitMicros: 1 }, other);
    await writeFile(file(at, piece), kept);
    const before = await keys();
    const [first] = await compact(at.wal);
    assert.ok(first && 'fault' in first && first.fault.fromLsn === startLsn, JSON.stringify(first));
    assert.deepEqual(await keys(), before);
    assert.ok((await check(at)).faults.some(({ fromLsn }) => fromLsn === startLsn));
    await at.place.store.remove(before.find((key) => key.endsWith('-1')) ?? assert.fail());
  });

  await t.test('nothing goes when the whole cannot be stored, or is not what was stored', async () => {
    const before = await keys();
    const put: WalVault['put'] = () => Promise.reject(new Error('the store is full'));
    await assert.rejects(compact({ ...at.wal, put }, true), /the store is full/);
    assert.deepEqual(await keys(), before);
    const lie: WalVault['put'] = (range, bytes) => at.wal.put(range, Buffer.alloc(bytes.length)).catch(() => 'stored');
    await assert.rejects(compact({ ...at.wal, put: lie }, true), /changes again and again/);
    assert.deepEqual(await keys(), before);
  });

  await t.test(
    'the end of a timeline that was left becomes one object, which is read before its pieces go',
    async () => {
      const before = await ranges();
      const { wal, calls } = noting(at.wal);
      const done = await compact(wal);
      assert.equal(done.length, 1, JSON.stringify(done));
      const [whole] = done as [Compacted];
      assert.ok(whole.pieces > 1);
      const proof = calls.lastIndexOf(`read ${whole.key}`);
      assert.ok(proof > calls.findIndex((call) => call.startsWith('put ')));
      assert.ok(
        calls.every((call, index) => !call.startsWith('remove ') || index > proof),
        calls.join('\n'),
      );
      assert.deepEqual(await ranges(), before);
      const object = (await list()).findLast(({ timeline }) => timeline === 1) ?? assert.fail();
      assert.equal(object.key, whole.key);
      assert.ok((await at.wal.read(object)).equals(await original(at, object)));
      assert.deepEqual((await check(at)).faults, []);
      assert.deepEqual(await compact(at.wal), [], 'the open segment is left to its stream');
    },
  );

  await t.test('the open segment, too, when that is wanted; a stream goes on behind it', async () => {
    const [done] = await compact(at.wal, true);
    assert.ok(done && 'key' in done && done.pieces > 1);
    const stream = ship(at.server, at.wal);
    await load(at.server, 300);
    await covers(stream, at);
    await stream.stop();
    await released(at.server);
    assert.deepEqual((await check(at)).faults, []);
  });
}

const file = ({ place }: Shipped, object: WalObject): string => join(place.root, object.key);

async function original({ server }: Shipped, { startLsn, endLsn }: WalObject): Promise<Buffer> {
  const start = parseLsn(startLsn);
  const bytes = await readFile(join(server.dataDir, 'pg_wal', segmentName(1, start, SEGMENT)));
  const offset = Number(start % BigInt(SEGMENT));
  return bytes.subarray(offset, offset + lsnDistanceBytes(startLsn, endLsn));
}

async function brokenHistory(t: TestContext, at: Shipped): Promise<void> {
  await t.test('a history file that is missing, or damaged, is named', async () => {
    const key = `shop/wal/${at.id}/history/00000002`;
    const path = join(at.place.root, key);
    const before = await readFile(path);
    await edit(path, (bytes) => flipBit(bytes, bytes.length - 20));
    assert.deepEqual((await check(at)).faults.map(({ place }) => place), [key]); // prettier-ignore
    await at.place.store.remove(key);
    const [missing, ...more] = (await check(at)).faults;
    assert.deepEqual([missing?.place, missing?.timeline, more], [key, 2, []]);
    await writeFile(path, before);
    assert.deepEqual((await check(at)).faults, []);
  });

  await t.test('a timeline that does not begin with what its parent holds is named', async () => {
    const first = (await at.wal.list({ systemId: at.id, timeline: 2 }))[0] ?? assert.fail();
    const before = await readFile(file(at, first));
    await replace(at, first, (bytes) => flipBit(bytes, 8192 + 100));
    const { faults } = await check(at);
    assert.ok(faults.some(({ what, place }) => /not what its parent holds/.test(what) && place === first.key), JSON.stringify(faults)); // prettier-ignore
    await writeFile(file(at, first), before);
  });
}
