import { z } from 'zod';
import { failureTypeOf, findFailure } from '../workflows/model/failure.ts';
import type { Sample } from '../workflows/model/failover-loss.ts';
import { sampleOf } from '../workflows/model/failover-loss.ts';
import type { Lsn } from '../workflows/model/lsn.ts';
import { formatLsn, parseLsn } from '../workflows/model/lsn.ts';
import type { SampleRing } from '../workflows/model/primary-samples.ts';
import { newestOf, together } from '../workflows/model/primary-samples.ts';
import type { StoredFacts } from '../workflows/model/readiness.ts';
import { sampleFor } from './cluster/sampler.ts';
import { clusterConfig } from './describe-cluster.ts';
import { newestFailoverDrill } from './failover-drills.ts';
import { readMeasurements } from './measurements.ts';
import type { Deps } from './deps.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import type { Vault } from './vault/vault.ts';

const schema = z.object({
  format: z.literal('lifeboat-samples/1'),
  service: z.string(),
  node: z.string(),
  systemId: z.string(),
  timeline: z.int().min(1),
  samples: z.array(z.object({ at: z.iso.datetime(), lsn: z.string(), xid: z.string().regex(/^\d+$/) })),
});

/** One object for each service, which is replaced: docs/format.md "Samples". */
function nameOf(service: string): string {
  return `samples-${service}`;
}

/**
 * Writes down each second where the primary of a service is, away from it, until it is cancelled. Two at once do no harm: each writes what is
 * true. Unavailable when that cannot be done for a while.
 */
export function samplePrimary(deps: Deps, { source, service }: { source: string; service: string }): Promise<void> {
  const cluster = clusterConfig(deps, service);
  return useSource(deps, source, async ({ vault, run }) => {
    const keep = async (ring: SampleRing): Promise<void> => {
      await vault.putReport(nameOf(service), Buffer.from(JSON.stringify(ring)));
    };
    await sampleFor({ service, cluster, run, keep, ring: await readRing({ vault, run }, service) });
  });
}

/** Undefined when there is none, or it is of a form that we do not know. What cannot be asked is thrown. */
export async function readRing(
  { vault, run }: { vault: Vault; run: SourceUse['run'] },
  service: string,
): Promise<SampleRing | undefined> {
  try {
    const parsed = schema.safeParse(JSON.parse((await vault.readReport(nameOf(service))).toString('utf8')));
    if (parsed.success && parsed.data.service === service) return parsed.data;
    run.log.warn('samples of another form', { name: nameOf(service) });
  } catch (error) {
    const type = failureTypeOf(error);
    if (type !== 'NotFound' && type !== 'Integrity' && !(error instanceof SyntaxError)) throw error;
    if (type === 'Integrity') run.log.warn('samples are damaged', { error: findFailure(error)?.message ?? '' });
  }
  return undefined;
}

/** So much before the position that is asked about says at what pace a primary writes. */
const PACE_BYTES = 64n * 1024n * 1024n;

export interface SampleTask {
  source: string;
  service: string;
  systemId: string;
  timeline: number;
  /** About where it was. */
  lsn: Lsn;
}

/** Where a primary was, by its samples and by the WAL in the vault, which both stand away from it. */
export function readSample(deps: Deps, task: SampleTask): Promise<{ sample?: Sample }> {
  const { source, service, systemId, timeline, lsn } = task;
  return useSource(deps, source, async (use) => {
    const from = parseLsn(lsn) - PACE_BYTES;
    const fromLsn = formatLsn(from > 0n ? from : 0n);
    const shipped = sampleOf(await use.vault.wal.list({ systemId, timeline, fromLsn }), timeline);
    const ring = await readRing(use, service);
    const sample = together(ring ? newestOf(ring, systemId) : undefined, shipped);
    return sample ? { sample } : {};
  });
}

/** What the vault says about whether a service could be failed over: ages by this host's clock. */
export function readStanding(
  deps: Deps,
  { source, service, systemId }: { source: string; service: string; systemId?: string },
): Promise<StoredFacts> {
  return useSource(deps, source, async (use) => {
    const nowMs = deps.clock.nowMs();
    const ring = await readRing(use, service);
    const sample = ring && systemId !== undefined ? newestOf(ring, systemId) : undefined;
    const drills = (await readMeasurements(use)).filter(({ kind }) => kind === 'drill');
    const drill = drills
      .map(({ at }) => at)
      .toSorted()
      .at(-1);
    const failover = await newestFailoverDrill(use, service);
    const age = (at: string): number => Math.max(0, nowMs - Date.parse(at));
    return {
      ...(sample ? { sampleAgeMs: age(sample.at) } : {}),
      ...(drill === undefined ? {} : { drillAgeMs: age(drill) }),
      ...(failover ? { failoverDrillAgeMs: age(failover.at) } : {}),
    };
  });
}
