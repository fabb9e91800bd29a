import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdingsOf } from '../../activities/holdings.ts';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { WalMark } from '../../activities/sources/postgres/wal/marks.ts';
import { RecordWalker } from '../../activities/sources/postgres/wal/records.ts';
import type { TargetFound } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { choicesFor } from '../../workflows/model/choose.ts';
import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { MarkTarget } from '../../workflows/model/target.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { Scene } from '../support/recovery.ts';
import { backupPoint, recoveryOptions, valueOf, withRestored, withScene } from '../support/recovery.ts';
import type { TestPostgres } from '../support/postgres.ts';

const XID = 'pg_current_xact_id()::xid::text';
const xidOf = (text: string): MarkTarget => ({ kind: 'xid', xid: text, inclusive: true });
const nameOf = (name: string): MarkTarget => ({ kind: 'name', name });

/** Transactions of the story, by what they are. */
interface Xids {
  early: string;
  /** Began before the second base and ended behind it. */
  across: string;
  /** Was prepared before it and committed behind it. */
  prepared: string;
  undone: string;
  late: string;
}

interface Told {
  xids: Xids;
  points: PointSummary[];
}

/** A base during which somebody makes a restore point. */
async function pointAround({ server, vault }: Scene, name: string): Promise<PointSummary> {
  let isMade: Promise<unknown> | undefined;
  const made = (): Promise<unknown> => (isMade ??= server.sql(`select pg_create_restore_point('${name}')`));
  await using draft = await vault.begin('p3');
  const facts = await takeBackup(recoveryOptions(server, { files: { read: 'stream' } }), {
    out: {
      partBytes: draft.partBytes,
      parallel: draft.parallel,
      write: async (number, plaintext) => {
        await made();
        return draft.write(number, plaintext);
      },
      fill: (number, fill) => draft.fill(number, fill),
      ask: (question) => draft.ask(question),
    },
    backup: { checkpoint: 'fast', label: 'test' },
    run: plainRun(),
  });
  await draft.finish(facts);
  return vault.publish('p3');
}

/** Row 1, base p1, rows 2 to 5 and three ends of transactions on both sides of base p2, base p3, row 6. */
async function tell(scene: Scene): Promise<Told> {
  const { server, vault, guard } = scene;
  const insert = (id: number): Promise<string> => valueOf(server.sql, `insert into t values (${id}) returning ${XID}`);
  const early = await insert(2);
  await server.sql(`select pg_create_restore_point('twice')`);
  const [open, other] = [await server.connect(), await server.connect()];
  await open.query('begin; insert into t values (3)');
  const across = String((await open.query<{ x: string }>(`select ${XID} as x`)).rows[0]?.x);
  await other.query(
    'begin; savepoint a; insert into t values (4); release a; drop table gone; create table made (i int)',
  );
  const prepared = String((await other.query<{ x: string }>(`select ${XID} as x`)).rows[0]?.x);
  await other.query(`prepare transaction 'one'`);
  await insert(5);
  const p2 = await backupPoint(server, vault, 'p2');
  await open.query('commit');
  await other.query(`commit prepared 'one'`);
  await other.query('begin; insert into t values (99)');
  const undone = String((await other.query<{ x: string }>(`select ${XID} as x`)).rows[0]?.x);
  await other.query('rollback');
  await Promise.all([open.end(), other.end()]);
  for (const name of ['twice', 'once']) await server.sql(`select pg_create_restore_point('${name}')`);
  const p3 = await pointAround(scene, 'inside');
  const late = await insert(6);
  await guard.caughtUp();
  return { xids: { early, across, prepared, undone, late }, points: [guard.point, p2, p3] };
}

async function find(scene: Scene, target: MarkTarget, point?: string): Promise<TargetFound & { base?: string }> {
  const { server, vault, guard } = scene;
  const { points } = await vault.points();
  const holdings = await holdingsOf(vault, { systemId: guard.point.systemId, points });
  const wish = { source: 'shop', target, timeline: 'latest', nowMicros: Date.now() * 1000 } as const;
  const choices = choicesFor(holdings, { ...wish, ...(point === undefined ? {} : { point }) });
  const { objects, histories } = holdings;
  const search = { target, routes: choices.map(({ route }) => route), objects, histories };
  const found = await createLogShipping('shop', recoveryOptions(server), plainRun()).find(vault.wal, search);
  const base = found.hit && choices[found.hit.index]?.route.base.point;
  return { ...found, ...(base === undefined ? {} : { base }) };
}

/** What pg_waldump tells of the same WAL: kind, number or name, and position. */
function dumped(server: TestPostgres, from: string, to: string): string[] {
  const span = ['-p', join(server.dataDir, 'pg_wal'), '-s', from, '-e', to];
  const { stdout, stderr } = spawnSync(join(server.binaries, 'pg_waldump'), span, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.doesNotMatch(stderr, /invalid record/);
  return stdout.split('\n').flatMap((line) => {
    const lsn = / lsn: ([0-9A-F/]+),/.exec(line)?.[1] ?? '';
    const tx = / tx: +(\d+),/.exec(line)?.[1];
    const end = /desc: (COMMIT|ABORT)(?:_PREPARED (\d+):| )/.exec(line);
    if (end) return [`${end[1]?.toLowerCase()} ${end[2] ?? tx} ${short(lsn)}`];
    const point = /desc: RESTORE_POINT (\S+)/.exec(line);
    return point ? [`restore point ${point[1]} ${short(lsn)}`] : [];
  });
}

const short = (lsn: string): string => formatLsn(parseLsn(lsn));

/** The same by our own reading, the WAL cut into pieces of `bytes`. */
async function walked(vault: Vault, systemId: string, bytes: number): Promise<string[]> {
  const marks: WalMark[] = [];
  const walker = new RecordWalker((mark) => marks.push(mark));
  let at = 0n;
  for (const object of await vault.wal.list({ systemId })) {
    const start = parseLsn(object.startLsn);
    const whole = await vault.wal.read(object);
    const fresh = whole.subarray(start < at ? Number(at - start) : 0);
    const from = start < at ? at : start;
    for (let done = 0; done < fresh.length; done += bytes) {
      walker.push(from + BigInt(done), fresh.subarray(done, done + bytes));
    }
    at = from + BigInt(fresh.length);
  }
  return marks.flatMap((mark) => {
    if (mark.kind === 'end') return [`${mark.committed ? 'commit' : 'abort'} ${mark.xid} ${formatLsn(mark.lsn)}`];
    return mark.kind === 'restore-point' ? [`restore point ${mark.name} ${formatLsn(mark.lsn)}`] : [];
  });
}

async function readsWhatServersPrint({ server, vault, guard }: Scene): Promise<void> {
  const { systemId } = guard.point;
  const [range] = rangesOf(await vault.wal.list({ systemId }));
  assert.ok(range);
  const expected = dumped(server, range.startLsn, range.endLsn);
  assert.ok(expected.filter((line) => line.startsWith('restore point')).length >= 4);
  for (const bytes of [1 << 20, 8192, 613]) {
    const found = await walked(vault, systemId, bytes);
    const at = expected.findIndex((line, index) => line !== found[index]);
    assert.deepEqual([at, found[at], found.length], [-1, undefined, expected.length], `cut ${bytes}: ${expected[at]}`);
  }
}

async function choosesRight(scene: Scene, { xids }: Told): Promise<void> {
  const cases: [MarkTarget, string, string][] = [
    [xidOf(xids.early), 'p1', 'commit'],
    [xidOf(xids.across), 'p2', 'commit'],
    [xidOf(xids.prepared), 'p2', 'commit'],
    [xidOf(xids.undone), 'p2', 'abort'],
    [xidOf(xids.late), 'p3', 'commit'],
    [nameOf('twice'), 'p2', 'restore point'],
    [nameOf('once'), 'p2', 'restore point'],
    [nameOf('inside'), 'p2', 'restore point'],
  ];
  for (const [target, base, what] of cases) {
    const found = await find(scene, target);
    assert.deepEqual([found.base, found.hit?.place.what], [base, what], JSON.stringify(target));
  }
  const [second, first] = [await find(scene, nameOf('twice')), await find(scene, nameOf('twice'), 'p1')];
  assert.ok(parseLsn(first.hit?.place.lsn ?? '') < parseLsn(second.hit?.place.lsn ?? ''));
  // In the midst of the newest base, which so cannot lead there.
  assert.deepEqual((await find(scene, nameOf('inside'), 'p3')).before.length, 1);
  for (const target of [nameOf('never'), xidOf('900000')]) assert.deepEqual(await find(scene, target), { before: [] });
}

async function stopsThere(scene: Scene, { xids, points }: Told): Promise<void> {
  const base = points[1] as PointSummary;
  const guard = { ...scene.guard, point: base };
  const rows = async (target: MarkTarget): Promise<number[]> => {
    let ids: number[] = [];
    await withRestored({ ...scene, guard }, { target }, async ({ sql }) => {
      ids = (await sql('select id from t order by id')).map(({ id }) => Number(id));
    });
    return ids;
  };
  assert.deepEqual(await rows({ kind: 'xid', xid: xids.prepared, inclusive: false }), [1, 2, 3, 5]);
  assert.deepEqual(await rows(nameOf('inside')), [1, 2, 3, 4, 5]);
}

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: the base that leads to a transaction or a restore point`, async () => {
    const before = async (server: TestPostgres): Promise<void> => {
      await server.sql('create table t (id int); insert into t values (1); create table gone (i int)');
      await server.sql('insert into gone values (1)');
    };
    await withScene(
      { version, settings: { max_prepared_transactions: '5', wal_keep_size: '1GB' }, before },
      async (scene) => {
        const told = await tell(scene);
        await scene.guard.stop();
        await choosesRight(scene, told);
        await readsWhatServersPrint(scene);
        if (version === 18) await stopsThere(scene, told);
      },
    );
  });
}
