import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { freePort } from '../../activities/io/free-port.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { PartialPlan } from '../../workflows/model/partial.ts';
import type { Discarded, RecoveryPlan } from '../../workflows/model/recovery.ts';
import { activitiesOf } from '../support/made-config.ts';
import { sampleResult } from '../support/sample-report.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { heldThreads, testVault } from '../support/vault.ts';

heldThreads();

/** What `prepare` leaves, and the mark of a database that may be on the server. */
async function begun({ into, run, source }: RecoveryPlan, isBringing: boolean): Promise<string> {
  const work = `${into}.lifeboat`;
  await mkdir(work, { recursive: true });
  await writeFile(join(work, 'run.json'), JSON.stringify({ run, source, setAside: null }));
  if (isBringing) await writeFile(join(work, 'bringing'), '');
  return work;
}

test('a server that is away keeps a cancelled restore neither from its end nor from removing its copy', () =>
  withTempDir(async (dir) => {
    const port = await freePort();
    const connection = { host: '127.0.0.1', port, user: 'postgres' };
    const { discardRestore } = activitiesOf(await testVault(dir), { connection });
    const into = { name: 'crm_before', temporary: 'lifeboat_1', aside: 'crm_1', replace: false, roles: [] };
    const partial = { database: 'crm', oid: 5, kept: [5], leftOut: { count: 0, first: [] }, bring: { into } };
    const plan: RecoveryPlan = { ...sampleResult().plan, into: join(dir, 'copy'), partial: partial as PartialPlan };
    const discard = (attempt: number): Promise<Discarded> =>
      new MockActivityEnvironment({ attempt }).run(discardRestore, plan) as Promise<Discarded>;

    let work = await begun(plan, false);
    assert.deepEqual(await discard(1), {}, 'nothing was brought: nobody is asked');
    assert.equal(existsSync(work), false);

    work = await begun(plan, true);
    for (const attempt of [1, 4])
      await assert.rejects(discard(attempt), (error) => failureTypeOf(error) === 'Unavailable');
    assert.equal(existsSync(work), true, 'it is tried again');
    const told = new RegExp(`^drop database lifeboat_1, if it is there: .*127\\.0\\.0\\.1:${port}`);
    assert.match((await discard(5)).left ?? '', told);
    assert.equal(existsSync(work), false);
    assert.match((await discard(6)).left ?? '', told, 'the answer before was lost');
  }));
