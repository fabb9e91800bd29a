import assert from 'node:assert/strict';
import { refreshSignal } from '../../workflows/messages.ts';
import { slotName, streamSlots, workflowId } from '../../workflows/model/names.ts';
import type { Tell } from './system-stories.ts';
import { survive } from './system-survival.ts';
import { until } from './system-until.ts';
import { inOnePiece } from './system-vault.ts';

/** Of two streams there is to be one: the run of the other ends, and its slot is gone, whatever died on the way. */
export async function duringSurplus(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const { system } = stage;
  const source = activity.toLowerCase();
  const wal = { shipEvery: '300ms', heartbeatEvery: '2s', streams: 2 };
  const tenant = await system.tenant({ name: source, source, more: { wal } });
  const worker = await tenant.startWorker();
  await tenant.start('wal', { source }, workflowId.wal(source));
  const { handle, result } = await tenant.start('wal', { source, stream: 2 }, workflowId.wal(source, 2));
  const slots = streamSlots(slotName(source), 2);
  const active = async (): Promise<unknown[]> => {
    const rows = await system.server.sql('select slot_name as name from pg_replication_slots where active');
    return rows.map(({ name }) => name).filter((name) => slots.includes(String(name)));
  };
  await until('both stream', async () => ((await active()).length === 2 ? true : undefined));
  worker.kill('SIGTERM');
  await worker.exited;
  // Its workers read another configuration from now on.
  await system.tenant({ name: source, source });
  await handle.signal(refreshSignal);
  await survive(tenant, deaths, result);
  await result;
  const [row] = await system.server.sql(`select array_agg(slot_name::text) as names from pg_replication_slots where slot_name like '${slots[0]}%'`); // prettier-ignore
  assert.deepEqual(row?.['names'], [slots[0]]);
  await inOnePiece(system.vault, source);
}
