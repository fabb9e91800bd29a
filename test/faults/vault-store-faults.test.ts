import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import type { Fault, FaultKind, FaultLog } from '../../activities/stores/wrap/fault.ts';
import { withFault } from '../../activities/stores/wrap/fault.ts';
import { wrapSession } from '../../activities/stores/wrap/wrap.ts';
import { openVault } from '../../activities/vault/index.ts';
import type { SweepRules, Vault } from '../../activities/vault/vault.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { keysOf } from '../support/store-contract.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { factsFor, heldThreads, testVault } from '../support/vault.ts';

heldThreads();

const PREFIX = '20260105T030004Z-1a2b3c4d';
const OLD = '20260104T030004Z-0a0b0c0d-1';
const SYSTEM = { systemId: '7312345678901234567', timeline: 2 };
const HISTORY = Buffer.from('1\t0/3000000\tno recovery target specified\n');
const CONTENTS = [Buffer.alloc(20_000, 'a'), Buffer.alloc(30_000, 'bc'), Buffer.alloc(10_000, 'd')];
const WAL = Buffer.alloc(64_000, 'wal ');

const AT = '2026-01-05T04:00:00.000Z';
const RULES: SweepRules = {
  ...{ nowMs: Date.parse(AT), abandonedAfterMs: 1000 },
  isPoint: (point) => point === OLD,
  isSpared: () => false,
};

/** What the vault is asked to do while its store goes wrong. */
interface Scenario {
  name: string;
  /** What is in the vault before, stored without faults. */
  prepare?(vault: Vault): Promise<unknown>;
  /** `attempt` counts from 1: the one that goes wrong, and its repeat. */
  act(vault: Vault, attempt: number): Promise<unknown>;
  /** What must hold when an attempt succeeded. */
  check(vault: Vault, store: StoreSession, attempt: number): Promise<void>;
}

async function writeDraft(vault: Vault, point: string): Promise<void> {
  await using draft = await vault.begin(point);
  const parts = await Promise.all(CONTENTS.map((bytes, index) => draft.write(index + 1, Buffer.from(bytes))));
  await draft.finish(factsFor(parts, CONTENTS));
}

async function makePublished(vault: Vault, point: string): Promise<void> {
  await writeDraft(vault, point);
  await vault.publish(point);
}

/** Parts and a draft are all there is of a point that is none. */
async function leftOf(store: StoreSession, prefix: string, keep?: string): Promise<string[]> {
  const keys = await keysOf(store, `shop/points/${prefix}`);
  return keys.filter((key) => /\/(draft|p\d+)$/.test(key) && (keep === undefined || !key.includes(`/${keep}/`)));
}

async function pointNames(vault: Vault): Promise<string[]> {
  return (await vault.points()).points.map(({ point }) => point);
}

async function putWal(vault: Vault): Promise<void> {
  await vault.wal.putHistory(SYSTEM.systemId, SYSTEM.timeline, HISTORY);
  await vault.wal.put({ ...SYSTEM, startLsn: '0/3000000' }, WAL.subarray(0, 32_000));
  await vault.wal.put({ ...SYSTEM, startLsn: '0/3007D00', lastCommitMicros: 1_700_000 }, WAL.subarray(32_000));
  // A piece that overlaps both, as a shipper sends that starts again.
  await vault.wal.put({ ...SYSTEM, startLsn: '0/3000000' }, WAL);
}

async function checkWal(vault: Vault): Promise<void> {
  const objects = await vault.wal.list({ systemId: SYSTEM.systemId });
  assert.ok(objects.length >= 2);
  for (const object of objects) {
    const at = Number.parseInt(object.startLsn.slice(2), 16) - 0x3000000;
    const bytes = await vault.wal.read(object);
    assert.deepEqual(bytes, WAL.subarray(at, at + bytes.length));
  }
  assert.equal(objects.at(-1)?.endLsn, '0/300FA00');
  assert.deepEqual(await vault.wal.readHistory(SYSTEM.systemId, SYSTEM.timeline), HISTORY);
  assert.equal((await vault.wal.histories(SYSTEM.systemId)).length, 1);
}

const scenarios: Scenario[] = [
  {
    name: 'begin, write and finish',
    act: (vault, attempt) => writeDraft(vault, `${PREFIX}-${attempt}`),
    check: async (vault, store, attempt) => {
      const point = `${PREFIX}-${attempt}`;
      await vault.publish(point);
      await vault.discard(PREFIX, point);
      assert.deepEqual(await pointNames(vault), [point]);
      assert.deepEqual(await leftOf(store, PREFIX, point), []);
    },
  },
  {
    name: 'publish',
    prepare: (vault) => writeDraft(vault, `${PREFIX}-1`),
    act: (vault) => vault.publish(`${PREFIX}-1`),
    check: async (vault, store) => {
      const summary = (await vault.points()).points.at(-1);
      assert.equal(summary?.point, `${PREFIX}-1`);
      assert.deepEqual(await vault.publish(`${PREFIX}-1`), summary);
      assert.ok(!(await keysOf(store)).some((key) => key.endsWith('/draft')), 'no draft is left');
    },
  },
  {
    name: 'discard',
    prepare: async (vault) => {
      await makePublished(vault, OLD);
      await makePublished(vault, `${PREFIX}-1`);
      await writeDraft(vault, `${PREFIX}-2`);
      await using draft = await vault.begin(`${PREFIX}-3`);
      await draft.write(1, Buffer.alloc(5000));
    },
    act: (vault) => vault.discard(PREFIX),
    check: async (vault, store) => {
      assert.deepEqual(await pointNames(vault), [OLD, `${PREFIX}-1`]);
      assert.deepEqual(await leftOf(store, PREFIX, `${PREFIX}-1`), []);
      await assert.rejects(vault.publish(`${PREFIX}-2`), (error) => failureTypeOf(error) === 'NotFound');
    },
  },
  { name: 'WAL put', act: putWal, check: checkWal },
  {
    name: 'read',
    prepare: async (vault) => {
      await makePublished(vault, OLD);
      await putWal(vault);
    },
    act: async (vault) => {
      assert.deepEqual(await pointNames(vault), [OLD]);
      const reader = await vault.open(OLD);
      for (const part of reader.manifest.parts) {
        assert.deepEqual(await reader.readPart(part), CONTENTS[part.number - 1]);
      }
      assert.equal((await vault.verify(OLD, () => {})).parts, CONTENTS.length);
      await checkWal(vault);
    },
    check: async () => {},
  },
  {
    name: 'marks',
    prepare: (vault) => makePublished(vault, OLD),
    act: async (vault) => {
      await vault.noteChecked(OLD, { verifiedAt: AT });
      await vault.hold(OLD, { reason: 'case 12', at: AT });
      assert.equal((await vault.marks(OLD)).held?.reason, 'case 12');
    },
    check: async (vault) => {
      const { held, verifiedAt } = (await vault.catalog()).marks.get(OLD) ?? {};
      assert.deepEqual({ held, verifiedAt }, { held: { reason: 'case 12', at: AT }, verifiedAt: AT });
    },
  },
  {
    name: 'retire and sweep',
    prepare: async (vault) => {
      for (const point of [OLD, `${PREFIX}-1`]) await makePublished(vault, point);
      await vault.noteChecked(`${PREFIX}-1`, { verifiedAt: AT });
    },
    act: async (vault) => {
      await vault.retire(`${PREFIX}-1`);
      await vault.sweep(RULES);
    },
    check: async (vault, store) => {
      // What was given up may have come late; the next run finds it.
      await vault.retire(`${PREFIX}-1`);
      await vault.sweep(RULES);
      assert.deepEqual(await pointNames(vault), [OLD]);
      assert.deepEqual(await leftOf(store, PREFIX), []);
      await assert.rejects(vault.publish(`${PREFIX}-1`), (error) => failureTypeOf(error) === 'NotFound');
    },
  },
  {
    name: 'report',
    act: (vault) => vault.putReport('drill.html', Buffer.from('<p>proven</p>')),
    check: async (_vault, store) => assert.deepEqual(await keysOf(store, 'shop/reports/'), ['shop/reports/drill.html']),
  },
];

/** A vault whose store can be given back to what it was, as often as there are cases. */
class Ground {
  readonly at: TestVault;
  readonly #dir: string;
  #cases = 0;

  constructor(at: TestVault, dir: string) {
    this.at = at;
    this.#dir = dir;
  }

  async copy(): Promise<StoreSession> {
    const path = join(this.#dir, `case-${(this.#cases += 1)}`);
    await cp(this.at.root, path, { recursive: true });
    return filesystemStore.open({ path }, plainRun());
  }

  open(store: StoreSession, signal?: AbortSignal): Promise<Vault> {
    return openVault(store, this.at.options, plainRun(signal ? { signal } : {}));
  }
}

async function withGround(scenario: Scenario, callback: (ground: Ground) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const at = await testVault(join(dir, 'base'));
    const ground = new Ground(at, dir);
    await using vault = await ground.open(at.store);
    await scenario.prepare?.(vault);
    await callback(ground);
  });
}

/** Whatever went wrong: what is published verifies, and nothing looks damaged. */
async function checkPublished(vault: Vault): Promise<void> {
  const { points, damaged } = await vault.points();
  assert.deepEqual(damaged, []);
  for (const { point } of points) await vault.verify(point, () => {});
}

interface Case {
  ground: Ground;
  store: StoreSession;
  scenario: Scenario;
}

interface Ended {
  error?: unknown;
  log: FaultLog;
}

/** The first attempt, on a store that goes wrong as told. A fault that holds a call ends when the run does. */
async function attemptWith({ ground, store, scenario }: Case, fault: Fault | undefined, ends: boolean): Promise<Ended> {
  const stop = new AbortController();
  const log: FaultLog = { calls: [] };
  const stopping = fault && ends ? { ...fault, onHit: () => void setImmediate(() => stop.abort(REASON)) } : fault;
  await using vault = await ground.open(withFault(store, stopping, log), stop.signal);
  try {
    await scenario.act(vault, 1);
    return { log };
  } catch (error) {
    return { error, log };
  }
}

const REASON = new Error('the run was ended');

/** Repeats without faults when it failed; then everything holds. */
async function finish({ ground, store, scenario }: Case, failed: boolean): Promise<void> {
  await using vault = await ground.open(store);
  await checkPublished(vault);
  const attempt = failed ? 2 : 1;
  if (failed) await scenario.act(vault, attempt);
  await scenario.check(vault, store, attempt);
  await checkPublished(vault);
}

/** Every call the scenario makes, hit once: counted by making them, so that a new one is covered by itself. */
async function everyCall(scenario: Scenario, hit: (at: Case, call: number) => Promise<void>): Promise<void> {
  await withGround(scenario, async (ground) => {
    const make = async (): Promise<Case> => ({ ground, scenario, store: await ground.copy() });
    const clean = await make();
    const { log, error } = await attemptWith(clean, undefined, false);
    assert.equal(error, undefined);
    await finish(clean, false);
    assert.ok(log.calls.length > 0);
    for (let call = 1; call <= log.calls.length; call++) {
      const { operation, key } = log.calls[call - 1]!;
      try {
        await hit(await make(), call);
      } catch (wrong) {
        throw new Error(`call ${call} of ${log.calls.length} (${operation} ${key}): ${String(wrong)}`, {
          cause: wrong,
        });
      }
    }
  });
}

/** What a caller may be told of each fault; no type means that it must not notice. */
const SAYS: Record<FaultKind, readonly string[]> = {
  fail: ['Unavailable'],
  'lost-reply': ['Unavailable'],
  hang: [],
  late: [],
  truncate: [],
  trickle: [],
};

for (const scenario of scenarios) {
  suite(`${scenario.name} on a store that goes wrong at any call`, () => {
    for (const kind of ['fail', 'lost-reply', 'truncate', 'trickle', 'late'] as const) {
      test(`${kind}: it succeeded and verifies, or failed so and succeeds when repeated`, async () => {
        await everyCall(scenario, async (at, call) => {
          const release = kind === 'late' ? { release: new Promise<void>(setImmediate) } : {};
          const { error } = await attemptWith(at, { kind, call, ...release }, false);
          if (error !== undefined) assert.ok(SAYS[kind].includes(failureTypeOf(error) ?? ''), String(error));
          await finish(at, error !== undefined);
        });
      });
    }

    test('hang: it ends with the run, and succeeds when repeated', async () => {
      await everyCall(scenario, async (at, call) => {
        const { error } = await attemptWith(at, { kind: 'hang', call }, true);
        assert.equal(error, REASON);
        await finish(at, true);
      });
    });

    for (const when of ['before', 'after'] as const) {
      test(`a call that was given up happens ${when} the repeat, and harms nothing`, async () => {
        await everyCall(scenario, async (at, call) => {
          const release = Promise.withResolvers<void>();
          const late = lateStore(at.store);
          const { error } = await attemptWith(
            { ...at, store: late.store },
            { kind: 'late', call, release: release.promise },
            true,
          );
          assert.equal(error, REASON);
          if (when === 'before') await late.settle(release.resolve);
          await finish(at, true);
          if (when === 'before') return;
          await late.settle(release.resolve);
          await using vault = await at.ground.open(at.store);
          await checkPublished(vault);
          if (scenario.name !== 'begin, write and finish') await scenario.check(vault, at.store, 2);
        });
      });
    }
  });
}

test('a publish that was given up at any call happens after the discard: it is a whole point, or none', async () => {
  const publish = scenarios.find(({ name }) => name === 'publish')!;
  let outcomes = 0;
  await everyCall(publish, async (at, call) => {
    const release = Promise.withResolvers<void>();
    const late = lateStore(at.store);
    await attemptWith({ ...at, store: late.store }, { kind: 'late', call, release: release.promise }, true);
    await using vault = await at.ground.open(at.store);
    await vault.discard(PREFIX);
    await late.settle(release.resolve);
    await checkPublished(vault);
    const published = (await pointNames(vault)).length > 0;
    assert.deepEqual((await leftOf(at.store, PREFIX)).length > 0, published, 'parts of a point, or nothing');
    outcomes |= published ? 1 : 2;
  });
  assert.equal(outcomes, 3, 'both were seen');
});

test('a draft that lost a part is not published', async () => {
  const publish = scenarios.find(({ name }) => name === 'publish')!;
  await withGround(publish, async (ground) => {
    const store = await ground.copy();
    await store.remove(`shop/points/${PREFIX}-1/p000002`);
    await using vault = await ground.open(store);
    await assert.rejects(vault.publish(`${PREFIX}-1`), (error) => failureTypeOf(error) === 'Integrity');
    assert.deepEqual(await pointNames(vault), []);
  });
});

interface LateStore {
  store: StoreSession;
  /** Lets the held call go, and waits until nothing is under way. */
  settle(release: () => void): Promise<void>;
}

function lateStore(inner: StoreSession): LateStore {
  const flying = new Set<Promise<unknown>>();
  const store = wrapSession(inner, {
    around: (_operation, _key, call) => {
      const running = call().finally(() => flying.delete(running));
      flying.add(running);
      return running;
    },
  });
  const settle = async (release: () => void): Promise<void> => {
    release();
    do {
      await new Promise(setImmediate);
      await Promise.allSettled(flying);
    } while (flying.size > 0);
  };
  return { store, settle };
}
