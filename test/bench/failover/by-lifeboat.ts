import type { FailoverResult } from '../../../workflows/model/failover.ts';
import { workflowId } from '../../../workflows/model/names.ts';
import type { RunProgress } from '../../../workflows/messages.ts';
import { SERVICE } from '../../../workers/dev/demo/pair/world.ts';
import { divide } from './phases.ts';
import type { Field, Turn } from './turns.ts';
import { changed, until } from './turns.ts';

const RUN = workflowId.failover(SERVICE);

export async function switchByLifeboat(field: Field): Promise<Turn> {
  const fromMs = Date.now();
  const words = ['failover', SERVICE, '--to', field.standby.site, '--planned', '--as', 'bench'];
  const { result } = await field.world.lifeboat.must<{ result: FailoverResult }>(...words);
  if (!result.zeroLoss?.ok || !result.rejoined?.ok) throw new Error(`not proven: ${JSON.stringify(result)}`);
  return measured(field, fromMs);
}

/** Nobody orders anything: what watches the servers notices, and starts it. */
export async function replaceByLifeboat(field: Field, synchronous: boolean): Promise<Turn> {
  const { world, primary: old, standby: next } = field;
  if (synchronous) await makeSynchronous(field);
  const fromMs = Date.now();
  await old.kill();
  await until(field, async () => {
    const { json } = await world.lifeboat.ask('status', RUN);
    return Date.parse(((json['run'] ?? {}) as { startedAt?: string }).startedAt ?? '') > fromMs;
  });
  const { result } = await world.lifeboat.must<{ result: FailoverResult }>('status', RUN, '--follow');
  if (!result.fence?.some(({ outcome }) => outcome === 'confirmed')) throw new Error('the fence is not confirmed');
  const turn = await measured(field, fromMs);
  await old.follow(next);
  const { loss } = result;
  const quoted = loss?.known ? (loss.transactions?.most ?? 0) : 0;
  return { ...turn, quoted, ...(synchronous ? { synchronous } : {}) };
}

async function measured(field: Field, fromMs: number): Promise<Turn> {
  const { progress } = await field.world.lifeboat.must<{ progress: RunProgress }>('status', RUN);
  const shown = await changed(field, fromMs);
  return { ...shown, phases: divide(field.load.longestGap(fromMs, Date.now()), progress) };
}

/** Only there: what is promoted in its place has nobody to wait for. */
async function makeSynchronous(field: Field): Promise<void> {
  const { primary } = field;
  await primary.sql(`alter system set synchronous_standby_names = '*'`);
  await primary.sql('select pg_reload_conf()');
  await until(field, async () => {
    const rows = await primary.sql(`select from pg_stat_replication where sync_state = 'sync'`);
    return rows.length === 1;
  });
  await field.load.served(primary, field.signal);
}
