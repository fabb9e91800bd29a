import type { Phase, RestoreResult } from './recovery.ts';
import type { Report } from './report.ts';

/** What a recovery has to move and to read. */
export interface RecoveryLoad {
  /** Of all points of the chain, decompressed. */
  fetchBytes: number;
  /** Points of the chain. */
  links: number;
  walBytes: number;
  /** Of the full point: about what the proof reads. */
  clusterBytes: number;
}

/** What a proven recovery took; kept in the vault, docs/format.md "Measurements". */
export interface Measurement {
  format: 'lifeboat-measured/1';
  kind: 'restore' | 'drill';
  /** Workflow id and run id. */
  run: string;
  /** When it was over, ISO 8601 UTC. */
  at: string;
  host: string;
  load: RecoveryLoad;
  /** Milliseconds, without the time a full disk was waited for. */
  phases: Partial<Record<Phase, number>>;
  rtoMs: number;
}

/** No phase that moved less than it had to is measured: an attempt went on where another stopped, or a copy stood there. */
export function measurementOf({ kind, run, finishedAt, result }: Report): Measurement | undefined {
  // A recovery that takes over also waits for switches and for people.
  if (!result || (kind !== 'restore' && kind !== 'drill')) return undefined;
  const { plan, replay, rtoMs } = result;
  // A standby waits for whom it follows.
  if (isPart(plan) || plan.standby) return undefined;
  return {
    format: 'lifeboat-measured/1',
    ...{ kind, run, at: finishedAt, host: plan.host, rtoMs },
    load: {
      fetchBytes: plan.estimate.fetchBytes,
      links: plan.chain?.length ?? 1,
      walBytes: replay?.walBytes ?? 0,
      clusterBytes: plan.estimate.clusterBytes ?? plan.estimate.fetchBytes,
    },
    phases: phasesOf(result),
  };
}

/** What was chosen of a dump, or of a cluster, says nothing of all of it. */
function isPart({ dump, partial }: RestoreResult['plan']): boolean {
  return partial !== undefined || [dump?.database, dump?.schema, dump?.table].some((name) => name !== undefined);
}

function phasesOf({ phases, fetch, waitedMs = {} }: RestoreResult): Measurement['phases'] {
  const whole = fetch.resumedParts === 0 && (fetch.reusedBytes ?? 0) === 0;
  const measured = Object.entries(phases).filter(([phase]) => phase !== 'fetch' || whole) as [Phase, number][];
  return Object.fromEntries(measured.map(([phase, ms]) => [phase, Math.max(0, ms - (waitedMs[phase] ?? 0))]));
}
