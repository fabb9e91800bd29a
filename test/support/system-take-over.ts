import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { approveUpdate, progressQuery } from '../../workflows/messages.ts';
import { findFailure } from '../../workflows/model/failure.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { InspectAnswer, RecoverResult, VerifyResult } from '../../workflows/model/results.ts';
import type { FileSwitch } from './file-switch.ts';
import { fileSwitch } from './file-switch.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, run } from './postgres.ts';
import type { Tell } from './system-stories.ts';
import { assertHolds, survive } from './system-survival.ts';
import { shippedTo, unfinishedPoints } from './system-vault.ts';
import type { System, Tenant } from './system.ts';

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

/** Of a source whose server is down: nobody listens, and files of its cluster stand on the host. */
async function downSource({ server, stack }: System, name: string): Promise<Record<string, unknown>> {
  const dataDirectory = join(stack.dir, `${name}.down`);
  await makeOwned(dataDirectory);
  const from = ['-h', '127.0.0.1', '-p', String(server.port), '-U', 'postgres'];
  await run(join(server.binaries, 'pg_basebackup'), ['-D', dataDirectory, ...from, '-X', 'fetch', '-c', 'fast']);
  return { connection: { ...server.connection, port: await freePort() }, files: { dataDirectory } };
}

/** There once, whole, and nothing that anybody restores. */
async function assertEvidence(tenant: Tenant, point: string): Promise<void> {
  const { source, system } = tenant;
  const asked = await tenant.start<InspectAnswer>('inspect', { what: 'points', source }, `inspect/${point}`);
  const answer = await asked.result;
  assert.ok(answer.what === 'points');
  const [listed] = answer.sources;
  assert.deepEqual(listed?.forensic?.map((each) => [each.point, each.forensic?.unread]), [[point, 0]]); // prettier-ignore
  assert.ok(listed?.points.every((each) => each.point !== point));
  const verified = await tenant.start<VerifyResult>('verify', { source, point }, workflowId.verify(source, point));
  assert.ok((await verified.result).checks.every(({ ok }) => ok));
  const { result } = await tenant.start('restore', { source, point, preview: true }, `restore/${point}`);
  await assert.rejects(result, (error) =>
    /is a forensic copy of damaged files/.test(findFailure(error)?.message ?? ''),
  );
  assert.deepEqual(await unfinishedPoints(system.vault, source), []);
}

/** A recovery that takes over: each move is made once, by one token, whatever died on the way. */
export async function duringTakeOver(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { system } = stage;
  const name = activity.toLowerCase();
  const source = 'shop';
  const lb = await fileSwitch(join(system.stack.dir, `${name}.traffic`), OLD);
  const isDown = deaths.some((death) => death.activity === 'copyDamaged');
  const more = isDown ? await downSource(system, name) : {};
  const tenant: Tenant = await system.tenant({ name, source, more, top: serviceWith(lb, source) });
  const mark = await system.orders.mark(system.server);
  await shippedTo(system.vault, source, mark.lsn);
  // What came behind the newest moment is listed where somebody looks for what is lost.
  const isCorrupt = isDown || deaths.some((death) => death.activity === 'listCommits');
  const kept = isDown ? {} : { forensic: 'none' };
  const order = isCorrupt
    ? { source, scenario: 'corruption', by: 'anna', ...kept, target: { kind: 'latest' } }
    : { source, scenario: 'complete-loss', by: 'anna' };
  const id = `${workflowId.recover(source)}/${activity}`;
  const { handle, result } = await tenant.start<RecoverResult>('recover', order, id);
  const approving = approveAll(handle, 'ben', result);
  await survive(tenant, deaths, result);
  const { restore, address, epoch, approvals, traffic, lost, forensicPoint } = await result;
  assert.equal(forensicPoint !== undefined, isDown);
  if (forensicPoint !== undefined) await assertEvidence(tenant, forensicPoint);
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
