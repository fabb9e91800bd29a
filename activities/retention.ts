import { Context } from '@temporalio/activity';
import { failure } from '../workflows/model/failure.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import { shortRun, workflowId } from '../workflows/model/names.ts';
import type { PointUse, RetentionFacts, RetentionPlan, RetentionPolicy } from '../workflows/model/retention.ts';
import { planRetention as decide } from '../workflows/model/retention.ts';
import type { PointsRemoved, RetentionPreview, ToldPoint, WalRemoved } from '../workflows/model/retention-result.ts';
import { POINTS_TOLD, REFUSALS_TOLD } from '../workflows/model/retention-result.ts';
import type { WalObject } from '../workflows/model/wal.ts';
import type { Deps } from './deps.ts';
import { holdingsOf } from './holdings.ts';
import { ownRun, REMOVAL, usesNow } from './in-use.ts';
import { unlessRefused } from './io/unless-refused.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Points that are withdrawn while a reader may have to wait: moments. */
const POINTS_AT_ONCE = 16;
const OBJECTS_AT_ONCE = 500;
const LOOK_MS = 500;
/** Somebody chooses a point within seconds; who does not has died, and is known as dead soon. */
const PATIENCE_MS = 300_000;
const ABANDONED_MS = 7 * 86_400_000;

/** All that decides, for each cluster of a source. */
type Facts = RetentionFacts & { systemId: string };

/** What would go and why the rest stays; touches nothing. */
export function planRetention(deps: Deps, { source }: { source: string }): Promise<RetentionPreview> {
  return useSource(deps, source, async (use) => {
    const facts = await factsOf(use, (await usesNow(use)) ?? []);
    return previewOf(source, facts, facts.map(decide));
  });
}

/**
 * Withdraws the points that nothing keeps, a few at a time, each time after a last look at who reads, and removes what is
 * left of points that are none. A repeat goes on where the last one ended.
 */
export function removePoints(deps: Deps, { source }: { source: string }): Promise<PointsRemoved> {
  return useSource(deps, source, async (use) => {
    const facts = await factsOf(use, []);
    const removed: string[] = [];
    const refused: PointsRemoved['refused'] = [];
    const due = facts.flatMap((each) => decide(each).remove);
    for (let at = 0; at < due.length; at += POINTS_AT_ONCE) {
      const batch = due.slice(at, at + POINTS_AT_ONCE);
      await announced(use, { points: batch.map(({ point }) => point), wal: false }, async (uses) => {
        for (const point of await stillDue(use, { facts, uses, batch })) {
          await unlessRefused(refused, point, () => use.vault.retire(point));
          if (!refused.some(({ place }) => place === point)) removed.push(point);
        }
      });
      use.run.progress({ phase: 'remove points', counters: { removed: removed.length, due: due.length } });
    }
    const swept = await sweep(use, facts);
    return {
      points: removed.slice(0, POINTS_TOLD),
      count: removed.length,
      swept: swept.removed.length,
      refused: [...refused, ...swept.refused].slice(0, REFUSALS_TOLD),
    };
  });
}

/** Removes the WAL that no point which is there, and no moment of the window, needs. */
export function removeWal(deps: Deps, { source }: { source: string }): Promise<WalRemoved> {
  return useSource(deps, source, async (use) => {
    const facts = await factsOf(use, []);
    const total: WalRemoved = { objects: 0, storedBytes: 0, refused: [] };
    for (const each of facts) {
      const due = walOf(each, []);
      for (let at = 0; at < due.length; at += OBJECTS_AT_ONCE) {
        await announced(use, { points: [], wal: true }, async (uses) => {
          const still = new Set(walOf(each, uses).map(({ key }) => key));
          const batch = due.slice(at, at + OBJECTS_AT_ONCE).filter(({ key }) => still.has(key));
          await removeObjects(use, batch, total);
        });
        use.run.progress({ phase: 'remove WAL', counters: { removed: total.objects, due: due.length } });
      }
    }
    return { ...total, refused: total.refused.slice(0, REFUSALS_TOLD) };
  });
}

async function removeObjects({ vault, run }: SourceUse, batch: WalObject[], total: WalRemoved): Promise<void> {
  for (const object of batch) {
    run.signal.throwIfAborted();
    const before = total.refused.length;
    await unlessRefused(total.refused, object.key, () => vault.wal.remove(object));
    if (total.refused.length > before) continue;
    total.objects += 1;
    total.storedBytes += object.storedBytes;
  }
}

/** A point that is due and still there needs its WAL until it is gone. */
function walOf(facts: Facts, uses: PointUse[]): WalObject[] {
  const leaving = decide(facts).remove.map(({ point }) => point);
  const present: PointUse = { points: leaving, wal: false, by: 'its removal' };
  return decide({ ...facts, uses: [...uses, present] }).wal.remove;
}

/** Says what is about to be removed, waits until whoever chooses has chosen, and does it. */
async function announced(
  use: SourceUse,
  what: { points: string[]; wal: boolean },
  work: (uses: PointUse[]) => Promise<void>,
): Promise<void> {
  const { vault, run } = use;
  const untilMs = run.clock.nowMs() + PATIENCE_MS;
  const { workflowId: id, runId } = ownRun();
  for (;;) {
    run.signal.throwIfAborted();
    await vault.uses.put(REMOVAL, { workflowId: id, runId, ...what });
    try {
      const uses = await usesNow(use);
      if (uses) return await work(uses);
    } finally {
      await vault.uses.remove(REMOVAL);
    }
    if (run.clock.nowMs() > untilMs) throw undecided(use.name);
    await run.clock.sleep(LOOK_MS, run.signal);
  }
}

function undecided(source: string): Error {
  return failure('Busy', `a run about ${source} is choosing what to read for minutes`, {
    place: `source ${source}`,
    hint: 'lifeboat status',
    retryAfterMs: 10_000,
  });
}

/** The plan again, with who reads now and what was held since. */
async function stillDue(
  { vault }: SourceUse,
  { facts, uses, batch }: { facts: Facts[]; uses: PointUse[]; batch: PointSummary[] },
): Promise<string[]> {
  const fresh = new Map<string, Awaited<ReturnType<typeof vault.marks>>>();
  for (const { point } of batch) fresh.set(point, await vault.marks(point));
  const due = new Set(
    facts.flatMap((each) =>
      decide({ ...each, uses, marks: new Map([...each.marks, ...fresh]) }).remove.map(({ point }) => point),
    ),
  );
  return batch.map(({ point }) => point).filter((point) => due.has(point));
}

async function sweep({ vault, run, name }: SourceUse, facts: Facts[]): ReturnType<SourceUse['vault']['sweep']> {
  const known = new Set(facts.flatMap(pointsIn).map(({ point }) => point));
  const working = await runningBackup(name);
  run.progress({ phase: 'remove what is left of points that are none' });
  return vault.sweep({
    nowMs: run.clock.nowMs(),
    abandonedAfterMs: ABANDONED_MS,
    isPoint: (point) => known.has(point),
    isSpared: (point) => working !== undefined && point.includes(`-${shortRun(working)}-`),
  });
}

/** Run id of the backup that works now, if there is one. */
async function runningBackup(source: string): Promise<string | undefined> {
  try {
    const handle = Context.current().client.workflow.getHandle(workflowId.backup(source));
    const { status, runId } = await handle.describe();
    return status.name === 'RUNNING' ? runId : undefined;
  } catch {
    // Whatever it is doing, its parts are younger than what is swept.
    return undefined;
  }
}

function pointsIn({ points, forensic = [] }: Facts): PointSummary[] {
  return [...points, ...forensic];
}

/** Everything is read, or nothing is decided: a point that cannot be read may be what others stand on. */
async function factsOf(use: SourceUse, uses: PointUse[]): Promise<Facts[]> {
  const policy = policyOf(use);
  const { points, forensic, damaged, marks } = await use.vault.catalog();
  if (damaged.length > 0) throw unreadable(use.name, damaged);
  const nowMicros = use.run.clock.nowMs() * 1000;
  const systems = [...new Set([...points, ...forensic].map(({ systemId }) => systemId))];
  const facts: Facts[] = [];
  for (const systemId of systems) {
    const { objects, histories, points: own } = await holdingsOf(use.vault, { systemId, points });
    const evidence = forensic.filter((each) => each.systemId === systemId);
    facts.push({ systemId, policy, nowMicros, points: own, forensic: evidence, objects, histories, marks, uses });
  }
  return facts;
}

function policyOf({ name, config }: SourceUse): RetentionPolicy {
  if (config.retention) return config.retention;
  throw failure('Precondition', `source ${name} has no retention`, {
    place: `sources.${name}.retention`,
    expected: 'rules, like { window: 14d, daily: 30, weekly: 12 }',
    found: 'none: nothing is ever removed',
    hint: 'add it to lifeboat.yml, restart the workers, and look first: lifeboat retention SOURCE --dry-run',
  });
}

function unreadable(source: string, damaged: { point: string; reason: string }[]): Error {
  const [first] = damaged;
  return failure('Integrity', `nothing of ${source} is removed: ${damaged.length} of its manifests cannot be read`, {
    place: `${source}/${first?.point}`,
    expected: 'every manifest readable',
    found: first?.reason ?? 'damage',
    hint: `lifeboat list ${source}; bring that point back from another copy, or move its folder out of the store`,
  });
}

function previewOf(source: string, facts: Facts[], plans: RetentionPlan[]): RetentionPreview {
  const known = new Map(facts.flatMap(pointsIn).map((point) => [point.point, point]));
  const keep = plans.flatMap((plan) => plan.keep);
  const remove = plans.flatMap((plan) => plan.remove);
  const objects = plans.flatMap(({ wal }) => wal.remove);
  const sum = (some: readonly { storedBytes: number }[]): number =>
    some.reduce((all, each) => all + each.storedBytes, 0);
  return {
    source,
    keep: keep.slice(-POINTS_TOLD).flatMap(({ point, why }) => {
      const summary = known.get(point);
      return summary ? [{ ...told(summary), why }] : [];
    }),
    kept: keep.length,
    remove: remove.slice(0, POINTS_TOLD).map(told),
    removed: remove.length,
    removedBytes: sum(remove),
    wal: {
      objects: objects.length,
      storedBytes: sum(objects),
      keepFrom: plans.flatMap(({ wal }, index) =>
        wal.keepFrom.map((each) => ({ systemId: facts[index]?.systemId ?? '', ...each })),
      ),
    },
  };
}

function told({ point, kind, stoppedAt, storedBytes }: PointSummary): ToldPoint {
  return { point, kind, at: stoppedAt, storedBytes };
}
