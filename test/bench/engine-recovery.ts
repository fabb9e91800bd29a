import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { chainsOf } from '../../workflows/model/chain.ts';
import { lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { Facts, JobOf, Tools } from './engine-tools.ts';
import { cpuMsSince, readBytes } from './engine-tools.ts';
import { cpuOf, postmasterPid } from './measured.ts';

export async function restore(job: JobOf<'restore' | 'replay'>, { vault, wal, postgres, run }: Tools): Promise<Facts> {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const beforeBytes = await readBytes();
  const steps: Facts = {};
  let lastMs = startedMs;
  let lastCpu = before;
  const step = (name: string): void => {
    steps[`${name}Ms`] = performance.now() - lastMs;
    steps[`${name}CpuMs`] = cpuMsSince(lastCpu);
    lastMs = performance.now();
    lastCpu = process.cpuUsage();
  };
  const plan = await planOf(job, { vault, wal });
  const recovery = createRecovery('bench', postgres, run);
  try {
    await recovery.prepare(plan);
    await recovery.fetch(plan, await vault.open(job.point));
    step('fetch');
    steps['fetchReadBytes'] = (await readBytes()) - beforeBytes;
    await recovery.replay(plan, wal);
    step('replay');
    await recovery.open(plan, wal);
    step('open');
    // Here, because clearing away what was restored is no part of it.
    const wallMs = performance.now() - startedMs;
    const server = await cpuOf(await postmasterPid(plan.into));
    const serverCpuMs = (server.ownSeconds + server.waitedSeconds) * 1000;
    return { ...steps, wallMs, cpuMs: cpuMsSince(before), serverCpuMs, walBytes: plan.estimate.walBytes };
  } finally {
    await recovery.discard(plan);
  }
}

export async function fetch(job: JobOf<'fetch'>, { vault, wal, postgres, run }: Tools): Promise<Facts> {
  const plan = { ...(await planOf({ ...job, kind: 'restore', port: 0 }, { vault, wal })), ...job.plan };
  const recovery = createRecovery('bench', postgres, run);
  await recovery.prepare(plan);
  await recovery.fetch(plan, await vault.open(job.point));
  return {};
}

/** As decided by the product, but without the choice: the named point, and as far as its WAL goes. */
async function planOf(
  job: JobOf<'restore' | 'replay'>,
  { vault, wal }: Pick<Tools, 'vault' | 'wal'>,
): Promise<RecoveryPlan> {
  const { points } = await vault.points();
  const links = chainTo(job.point, points);
  const base = links.at(-1) as PointSummary;
  const { settings } = (await vault.open(job.point)).manifest;
  const end = rangesOf(await wal.list({ systemId: base.systemId })).at(-1)?.endLsn ?? base.stopLsn;
  const toLsn = job.kind === 'restore' ? base.stopLsn : end;
  const walBytes = lsnDistanceBytes(base.startLsn, toLsn);
  return {
    ...{ run: 'bench', source: 'bench', host: 'bench', base, settings },
    ...(links.length > 1 ? { chain: links.map(({ point }) => point) } : {}),
    ...{ timelineChoice: 'latest', timeline: base.timeline, action: 'promote', legs: [] },
    ...{ into: job.into, port: job.port, tablespaces: {}, decidedAt: base.stoppedAt },
    target: job.kind === 'restore' ? { kind: 'immediate' } : { kind: 'latest' },
    estimate: { fetchBytes: base.bytes, storedBytes: base.storedBytes, walBytes, seconds: 1 },
    window: { point: base.point, timeline: base.timeline, fromLsn: base.stopLsn, toLsn, from: base.stoppedAt },
  };
}

/** The points that one takes, the full one first. */
export function chainTo(point: string, points: PointSummary[]): PointSummary[] {
  const wanted = points.find((each) => each.point === point);
  if (!wanted) throw new Error(`no point ${point}`);
  const chain = chainsOf(points)(wanted);
  if ('broken' in chain) throw new Error(chain.broken);
  return chain.links;
}
