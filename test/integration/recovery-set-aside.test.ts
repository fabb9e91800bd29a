import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareTarget, removeTarget } from '../../activities/sources/postgres/recovery/prepare.ts';
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
