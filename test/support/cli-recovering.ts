import assert from 'node:assert/strict';
import type { PendingApproval } from '../../workflows/model/approval.ts';
import type { WalAnswer } from '../../workflows/model/results.ts';
import { ask } from './cli-ask.ts';
import type { Lifeboat } from './lifeboat.ts';
import { until } from './system-until.ts';

export async function vaultHolds(world: Lifeboat, moment: string): Promise<void> {
  await until(`the vault holds ${moment}`, async () => {
    const { wal } = await ask<{ wal: WalAnswer }>(world, 'wal', 'shop');
    return Date.parse(wal.windows.at(-1)?.to ?? '') > Date.parse(moment) || undefined;
  });
}

/** Starts it and comes back when it asks; gives what it shows. */
export async function waiting(world: Lifeboat, words: string[]): Promise<PendingApproval> {
  await ask(world, 'recover', 'shop', ...words, '--detach');
  return until('the recovery asks for approval', async () => {
    const { code, json } = await world.cli(['approve', 'recover/shop', '--json']);
    if (code === 0) return json['pending'] as PendingApproval;
    const { run } = await ask<{ run: { status: string } }>(world, 'status', 'recover/shop');
    assert.equal(run.status, 'RUNNING');
    return undefined;
  });
}
