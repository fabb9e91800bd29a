import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { approveUpdate, progressQuery } from '../../workflows/messages.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RecoverResult } from '../../workflows/model/results.ts';
import type { FileSwitch } from './file-switch.ts';
import { fileSwitch } from './file-switch.ts';
import type { Tell } from './system-stories.ts';
import { assertHolds, survive } from './system-survival.ts';
import { shippedTo } from './system-vault.ts';
import type { Tenant } from './system.ts';

const LOOK_MS = 50;

/** Traffic of a tenant's service as it is before anything happened. */
export const OLD = { '127.0.0.1:1': 100 };

/** Keys of lifeboat.yml for a service on a source, whose one switch is `lb`. */
export function serviceWith(
  lb: FileSwitch,
  source: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const port = { name: 'port', run: ['/bin/bash', '-c', ': < "/dev/tcp/$LIFEBOAT_HOST/$LIFEBOAT_PORT"'] };
  return {
    switches: { lb: { kind: 'command', ...lb.options } },
    services: { web: { source, traffic: ['lb'], steps: [50, 100], checks: [port], ...more } },
  };
}

/** Approves whatever a run shows, for as long as it runs, through the death of every worker. */
export async function approveAll(handle: WorkflowHandle, by: string, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = (): void => void (isOver = true);
  ended.then(over, over);
  while (!isOver) {
    try {
      const { approval } = await handle.query(progressQuery);
      if (approval) await handle.executeUpdate(approveUpdate, { args: [{ by, hash: approval.evidence.hash }] });
    } catch {
      // No worker now, or somebody was heard already.
    }
    await sleep(LOOK_MS);
  }
}

/** A recovery that takes over: each move is made once, by one token, whatever died on the way. */
export async function duringTakeOver(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { system } = stage;
  const name = activity.toLowerCase();
  const source = 'shop';
  const lb = await fileSwitch(join(system.stack.dir, `${name}.traffic`), OLD);
  const tenant: Tenant = await system.tenant({ name, source, top: serviceWith(lb, source) });
  const mark = await system.orders.mark(system.server);
  await shippedTo(system.vault, source, mark.lsn);
  // What came behind the newest moment is listed where somebody looks for what is lost.
  const isCorrupt = deaths.some((death) => death.activity === 'listCommits');
  const order = isCorrupt
    ? { source, scenario: 'corruption', by: 'anna', forensic: 'none', target: { kind: 'latest' } }
    : { source, scenario: 'complete-loss', by: 'anna' };
  const id = `${workflowId.recover(source)}/${activity}`;
  const { handle, result } = await tenant.start<RecoverResult>('recover', order, id);
  const approving = approveAll(handle, 'ben', result);
  await survive(tenant, deaths, result);
  const { restore, address, epoch, approvals, traffic, lost } = await result;
  assert.equal(lost !== undefined, isCorrupt);
  for (const { relation } of lost?.first.flatMap(({ relations = [] }) => relations) ?? [])
    assert.match(relation, /^postgres\.(public\.orders|pg_)/);
  await approving;
  const token = epoch * 2;
  const [old, half, all] = [OLD, { [address]: 50 }, { [address]: 100 }].map((each) => JSON.stringify(each));
  const steps = isCorrupt ? [`${token} {} ${all}`] : [`${token} {} ${half}`, `${token} ${half} ${all}`];
  assert.deepEqual(await lb.log(), [`${token} ${old} {}`, ...steps]);
  assert.deepEqual(await lb.state(), { token, traffic: { [address]: 100 } });
  assert.deepEqual(approvals.map(({ by }) => by), ['ben']); // prettier-ignore
  assert.deepEqual(traffic[0]?.from, OLD);
  await assertHolds(tenant, restore, mark);
}
