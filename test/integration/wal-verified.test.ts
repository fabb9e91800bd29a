import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Vault } from '../../activities/vault/vault.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn } from '../../workflows/model/lsn.ts';
import type { VerifyWalOrder } from '../../workflows/model/orders.ts';
import type { WalVerified } from '../../workflows/model/wal-verify.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import { activitiesOf } from '../support/made-config.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { factsFor, flipBit, heldThreads, testVault } from '../support/vault.ts';
import { SEGMENT, wal } from '../support/wal-pages.ts';

heldThreads();

const SYSTEM = '7';
const MINUTE_MICROS = 60_000_000;
const BEGAN_MICROS = Date.parse('2026-01-05T03:00:00Z') * 1000;
const SEGMENTS = [1, 2, 3, 4, 5];
/** In each of them. */
const RECORDS = [100, 200, 'switch'] as const;

const lsn = (segment: number, more = 0): string => formatLsn(BigInt(segment) * BigInt(SEGMENT) + BigInt(more));
const minute = (count: number): string => new Date((BEGAN_MICROS + count * MINUTE_MICROS) / 1000).toISOString();

interface World {
  at: TestVault;
  vault: Vault;
  /** Runs the activity; `resume`: what the attempt before was heard to say. */
  verify(order?: Partial<VerifyWalOrder>, resume?: unknown): Promise<WalVerified>;
  /** What attempts said of how far they are. */
  heard: { resume?: unknown }[];
  objects(): Promise<WalObject[]>;
}

/** Five segments of WAL, made by hand, and a point in the first of them. */
async function withStored(callback: (world: World) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await using vault = await at.open();
    const end = BigInt((SEGMENTS.length + 1) * SEGMENT);
    const bytes = wal(BigInt(SEGMENT), end, SEGMENTS.flatMap(() => RECORDS)); // prettier-ignore
    for (const segment of SEGMENTS) {
      const piece = { systemId: SYSTEM, timeline: 1, startLsn: lsn(segment) };
      const content = bytes.subarray((segment - 1) * SEGMENT, segment * SEGMENT);
      await vault.wal.put({ ...piece, lastCommitMicros: BEGAN_MICROS + segment * MINUTE_MICROS }, Buffer.from(content));
    }
    await publish(vault, 'p1', { segment: 1 });
    const heard: World['heard'] = [];
    const { verifyWal } = activitiesOf(at);
    const verify: World['verify'] = (order = {}, resume) => {
      const heartbeatDetails = resume === undefined ? {} : { heartbeatDetails: { phase: 'read WAL', resume } };
      const environment = new MockActivityEnvironment(heartbeatDetails);
      environment.on('heartbeat', (details: { resume?: unknown }) => heard.push(details));
      return environment.run(verifyWal, { source: 'shop', ...order }) as Promise<WalVerified>;
    };
    await callback({ at, vault, verify, heard, objects: () => vault.wal.list({ systemId: SYSTEM }) });
    assert.deepEqual(await readdir(join(at.root, 'shop/use')).catch(() => []), [], 'nothing is in use any more');
  });
}

/** A point whose base begins and ends in a segment. */
async function publish(
  vault: Vault,
  point: string,
  { segment, systemId = SYSTEM }: { segment: number; systemId?: string },
): Promise<void> {
  await using draft = await vault.begin(point);
  const contents = [randomBytes(1000)];
  const parts = await Promise.all(contents.map((bytes, index) => draft.write(index + 1, Buffer.from(bytes))));
  const facts = factsFor(parts, contents);
  await draft.finish({
    ...facts,
    identity: { ...facts.identity, systemId },
    ...{ startLsn: lsn(segment, 0x28), stopLsn: lsn(segment, 0x100), stoppedAt: minute(segment) },
  });
  await vault.publish(point);
}

/** Another content under the same name, as it would be had it been stored so. */
async function replace({ vault }: World, object: WalObject, change: (bytes: Buffer) => Buffer): Promise<void> {
  const { systemId, timeline, startLsn, lastCommitMicros = 0 } = object;
  const bytes = change(await vault.wal.read(object));
  await vault.wal.remove(object);
  await vault.wal.put({ systemId, timeline, startLsn, lastCommitMicros }, bytes);
}

const shortly = ({ ok, objects, records, points, timelines }: WalVerified): unknown[] => [ok, objects, records, points, timelines]; // prettier-ignore

test('good WAL: counted, all of it or what was asked for, and nothing is wrong', () =>
  withStored(async ({ verify }) => {
    const all = await verify();
    assert.deepEqual(shortly(all), [true, 5, 5 * RECORDS.length, 1, 1]);
    assert.equal(all.walBytes, 5 * SEGMENT);
    assert.ok(all.storedBytes > 0);
    assert.deepEqual([all.faults, all.holes, all.lost, all.unusable, all.reports], [[], [], [], [], []]);
    // From the first object on that has something of it.
    assert.equal((await verify({ since: lsn(3) })).objects, 3);
    assert.equal((await verify({ since: lsn(3, -1) })).objects, 4);
    assert.equal((await verify({ since: minute(3) })).objects, 3);
    assert.equal((await verify({ timeline: 1 })).objects, 5);
    for (const order of [{ since: lsn(6) }, { since: minute(9) }, { timeline: 2 }])
      await assert.rejects(verify(order), (error) => failureTypeOf(error) === 'NotFound');
  }));

test('an object that is not as it was makes it not whole, even when no point needs it', () =>
  withStored(async (world) => {
    const [, , third] = await world.objects();
    assert.ok(third);
    await replace(world, third, (bytes) => flipBit(bytes, 100));
    const { ok, faults, faultCount, lost, unusable, holes } = await world.verify();
    assert.deepEqual([ok, faultCount, unusable, holes], [false, 1, [], []]);
    assert.deepEqual([faults[0]?.place, faults[0]?.timeline], [third.key, 1]);
    assert.match(faults[0]?.what ?? '', /record checksum/);
    assert.deepEqual(lost.map(({ fromLsn, toLsn }) => [fromLsn, toLsn]), [[lsn(3), lsn(6)]]); // prettier-ignore
  }));

test('a hole counts while no base begins behind it', () =>
  withStored(async ({ verify, objects, vault }) => {
    const [, second, , fourth] = await objects();
    assert.ok(second && fourth);
    await vault.wal.remove(second);
    const open = await verify();
    assert.deepEqual([open.ok, open.holeCount, open.holes[0]?.until, open.faults], [false, 1, undefined, []]);
    await publish(vault, 'p3', { segment: 3 });
    const closed = await verify();
    assert.deepEqual([closed.ok, closed.holeCount, closed.holes[0]?.until], [true, 1, minute(3)]);
    // Those that are open come first.
    await vault.wal.remove(fourth);
    const both = await verify();
    assert.deepEqual([both.ok, both.holes.map(({ until }) => until)], [false, [undefined, minute(3)]]);
  }));

test('a point without its WAL is noted for retention; only who has read everything takes that back', () =>
  withStored(async (world) => {
    const { at, vault, verify } = world;
    const noted = async (point: string): Promise<boolean> => Boolean((await vault.marks(point)).wrongWal);
    const [first] = await world.objects();
    assert.ok(first);
    const path = join(at.root, first.key);
    const before = await readFile(path);
    await writeFile(path, flipBit(Buffer.from(before), before.length >> 1));
    const { ok, unusable, unusableCount } = await verify();
    assert.deepEqual([ok, unusableCount, unusable.map(({ point }) => point)], [false, 1, ['p1']]);
    assert.match(unusable[0]?.reason ?? '', /is damaged$/);
    assert.equal(await noted('p1'), true);
    await writeFile(path, before);
    for (const order of [{ since: lsn(2) }, { timeline: 1 }]) assert.ok((await verify(order)).ok);
    assert.equal(await noted('p1'), true, 'a part of it was read');
    assert.ok((await verify()).ok);
    assert.equal(await noted('p1'), false);
    // Of a cluster of which no WAL is there at all.
    await publish(vault, 'p2', { segment: 2, systemId: '8' });
    const other = await verify();
    assert.deepEqual([other.ok, other.unusable.map(({ point }) => point)], [false, ['p2']]);
    assert.deepEqual([await noted('p1'), await noted('p2')], [false, true]);
  }));

test('another attempt goes on behind what was read, with what was found', () =>
  withStored(async (world) => {
    const { at, verify, heard } = world;
    const [first, second, third] = await world.objects();
    assert.ok(first && second && third);
    await replace(world, first, (bytes) => flipBit(bytes, 100));
    const whole = await verify();
    assert.deepEqual([whole.faultCount, whole.objects], [1, 5]);
    const resume = heard.find((each) => each.resume !== undefined)?.resume;
    assert.ok(resume);
    assert.ok(JSON.stringify(resume).length < 2000);
    // What it has read is not read again: nobody would see that it is gone meanwhile.
    heard.length = 0;
    await writeFile(join(at.root, first.key), 'rotten');
    await replace(world, third, (bytes) => flipBit(bytes, 100));
    const rest = await verify({}, resume);
    assert.deepEqual([rest.objects, rest.walBytes], [5, whole.walBytes]);
    assert.deepEqual(rest.faults.map(({ place }) => place), [first.key, third.key]); // prettier-ignore
    assert.match(rest.faults[0]?.what ?? '', /record checksum/);
  }));

test('nothing of it is there: that is no good WAL', () =>
  withStored(async ({ at, verify }) => {
    for (const name of ['wal', 'points']) await rename(join(at.root, 'shop', name), join(at.root, `${name}.aside`));
    await assert.rejects(
      verify(),
      (error) => failureTypeOf(error) === 'NotFound' && /holds nothing of shop/.test(String(error)),
    );
    await rename(join(at.root, 'points.aside'), join(at.root, 'shop/points'));
    const { ok, unusable } = await verify();
    assert.deepEqual([ok, unusable.map(({ point }) => point)], [false, ['p1']]);
  }));
