import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { prepareTarget, removeTarget } from '../../activities/sources/postgres/recovery/prepare.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { planFor } from '../support/recovery.ts';
import { samplePoint } from '../support/sample-report.ts';
import { withTempDir } from '../support/temp-dir.ts';

test('a restore that is taken back leaves the tablespaces of what it set aside where they were', async () => {
  await withTempDir(async (dir) => {
    const point = samplePoint();
    const into = join(dir, 'shop');
    const old = join(`${into}.tablespaces`, '16385', 'rows');
    await mkdir(into);
    await writeFile(join(into, 'PG_VERSION'), 'old');
    await mkdir(join(`${into}.tablespaces`, '16385'), { recursive: true });
    await writeFile(old, 'the only copy');
    const plan = await planFor(
      dir,
      { point, settings: {} },
      {
        target: { kind: 'latest' },
        into,
        setAside: `${into}.before`,
        tablespaces: { 20001: join(`${into}.tablespaces`, '20001') },
      },
    );
    await prepareTarget(plan, { binaries: '/nowhere' });
    assert.equal(existsSync(join(into, 'PG_VERSION')), false, 'the old cluster was set aside');
    await removeTarget(plan, () => Promise.resolve());
    assert.equal(await readFile(join(into, 'PG_VERSION'), 'utf8'), 'old');
    assert.equal(await readFile(old, 'utf8'), 'the only copy');
    assert.equal(existsSync(join(`${into}.tablespaces`, '20001')), false, 'its own is gone');
  });
});

/** A directory with a cluster and what a restore left beside it, and the plan of another restore that sets both aside. */
async function occupied(dir: string): Promise<{ plan: RecoveryPlan; files: string[] }> {
  const into = join(dir, 'shop');
  const files = [join(into, 'PG_VERSION'), join(`${into}.lifeboat`, 'restore-command.sh')];
  for (const file of files) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'old');
  }
  const use = { target: { kind: 'latest' as const }, into, setAside: `${into}.before` };
  return { plan: await planFor(dir, { point: samplePoint(), settings: {} }, use), files };
}

const moments: Record<string, (plan: RecoveryPlan) => Promise<void>> = {
  'before the cluster followed what stands beside it': async ({ into, setAside }) =>
    rename(`${into}.lifeboat`, `${setAside}.lifeboat`),
  'before anything of its own was made': async ({ into, setAside }) => {
    await rename(`${into}.lifeboat`, `${setAside}.lifeboat`);
    await rename(into, String(setAside));
  },
  'before its marker was written': async (plan) => {
    await prepareTarget(plan, { binaries: '/nowhere' });
    await rm(join(`${plan.into}.lifeboat`, 'run.json'));
  },
  'while it was taken back, before what stood beside the cluster': async (plan) => {
    await prepareTarget(plan, { binaries: '/nowhere' });
    await rm(`${plan.into}.lifeboat`, { recursive: true });
    await rm(plan.into, { recursive: true });
    await rename(String(plan.setAside), plan.into);
  },
};

for (const [moment, stopAt] of Object.entries(moments)) {
  test(`a restore that was killed ${moment} is taken back whole`, async () => {
    await withTempDir(async (dir) => {
      const { plan, files } = await occupied(dir);
      await stopAt(plan);
      for (let repeat = 1; repeat <= 2; repeat++) {
        await removeTarget(plan, () => Promise.resolve());
        for (const file of files) assert.equal(await readFile(file, 'utf8'), 'old', file);
        assert.deepEqual((await readdir(dir)).toSorted(), ['shop', 'shop.lifeboat']);
      }
    });
  });
}
