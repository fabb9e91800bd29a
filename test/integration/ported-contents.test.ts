import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { SUMMARIZING, takePoint } from '../support/chains.ts';
import { withServerDir } from '../support/postgres.ts';
import { planFor, recover, recoveryOptions, sqlOf, withScene } from '../support/recovery.ts';
import type { Scene, Sql } from '../support/recovery.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { ContentCase } from './cases/case.ts';
import { BLOCK_CASES } from './cases/contents-blocks.ts';
import { CLUSTER_CASES } from './cases/contents-cluster.ts';
import { OBJECT_CASES } from './cases/contents-objects.ts';
import { makeStage, play, portraitOf, questionOf } from './cases/play.ts';

const CASES = [...BLOCK_CASES, ...OBJECT_CASES, ...CLUSTER_CASES];

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: contents of the ported cases come back as pg_dump sees them at the source`, async (t) => {
    const cases = CASES.filter(({ since = 0 }) => since <= version);
    const incremental = version >= 17;
    const before = async (server: Scene['server']): Promise<void> => {
      await makeStage(server, cases);
      await play(server, cases, 'before');
    };
    await withScene({ version, before, settings: incremental ? SUMMARIZING : {} }, async (scene) => {
      const { server, vault, guard } = scene;
      await play(server, cases, 'between');
      const chain = [guard.point.point];
      if (incremental) {
        const { kind, fallback } = await takePoint(server, vault, { id: 'p2', parent: 'p1' });
        assert.equal(kind, 'incremental', fallback);
        chain.push('p2');
      }
      await play(server, cases, 'after');
      const expected = await portraitOf(server, server.port);
      await guard.caughtUp();
      await withServerDir(async (dir) => {
        const plan = await planOf(scene, dir, chain);
        await recover(server, { vault, plan });
        const found = await portraitOf(server, plan.port);
        assert.deepEqual([...found.keys()], [...expected.keys()]);
        for (const [name, lines] of expected)
          assert.equal(firstDifference(lines, found.get(name) ?? []), undefined, name);
        const sql = sqlOf(plan);
        for (const each of cases) await t.test(each.name, () => answers(each, sql));
        await createRecovery('shop', recoveryOptions(server), plainRun()).discard(plan);
      });
    });
  });
}

async function planOf({ vault, guard }: Scene, dir: string, chain: string[]): Promise<RecoveryPlan> {
  const { manifest } = await vault.open(chain.at(-1) ?? '');
  const { points } = await vault.points();
  const point = points.find((each) => each.point === manifest.point) ?? guard.point;
  const spaces = manifest.trees.filter(({ id }) => /^\d+$/.test(id)).map(({ id }) => [id, join(dir, 'spaces', id)]);
  const tablespaces = Object.fromEntries(spaces) as Record<string, string>;
  const use = chain.length > 1 ? { chain } : {};
  return planFor(dir, { point, settings: manifest.settings }, { target: { kind: 'latest' }, tablespaces, ...use });
}

function firstDifference(expected: readonly string[], found: readonly string[]): string | undefined {
  const at = expected.findIndex((line, index) => line !== found[index]);
  if (at >= 0) return `line ${at + 1}: expected ${expected[at]}, found ${found[at]}`;
  return found.length === expected.length ? undefined : `${found.length - expected.length} more lines`;
}

/** Statements may write: it is a copy that was opened. */
async function answers({ then = {} }: ContentCase, sql: Sql): Promise<void> {
  for (const [question, answer] of Object.entries(then)) {
    const { database, statement } = questionOf(question);
    const results = (await sql(statement, database)) as unknown;
    const rows = Array.isArray(results) ? (results as Record<string, unknown>[]) : [];
    assert.equal(String(Object.values(rows[0] ?? {})[0]), answer, question);
  }
}
