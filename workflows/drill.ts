import { CancellationScope } from '@temporalio/workflow';
import { begin } from './lib/begin.ts';
import type { Begun } from './lib/begin.ts';
import type { Compensations } from './lib/conclude.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { recover } from './lib/recover.ts';
import { report } from './lib/report.ts';
import type { RtoClock } from './lib/rto-clock.ts';
import { startRtoClock } from './lib/rto-clock.ts';
import type { DrillOrder } from './model/orders.ts';
import type { RestoreResult } from './model/recovery.ts';
import type { DrillResult, Objective, SourceFacts } from './model/results.ts';
import type { Target } from './model/target.ts';
import { describeTarget } from './model/target.ts';
import { quick } from './options.ts';

/**
 * Recovers to a random or chosen moment in a scratch place, proves it, measures RTO and RPO, and always removes the copy.
 * Input: {"source":"shop"}.
 */
export async function drill(given: DrillOrder): Promise<DrillResult> {
  const begun = await begin<DrillOrder>('drill', given, { 'source!': 'text', target: 'target', host: 'text' });
  const { order, journal, facts, notices } = begun;
  const clock = startRtoClock(journal, notices);
  try {
    return await conclude(journal, (undo) => drillOnce(begun, { undo, clock }), {
      tell: (error) => {
        notices.send({ severity: 'error', title: `drill of ${order.source} failed`, body: messageOf(error) });
      },
      finish: async (error) => {
        await report({ kind: 'drill', journal, facts, error });
      },
    });
  } finally {
    clock.stop();
    await notices.settle();
  }
}

interface Drilling {
  undo: Compensations;
  clock: RtoClock;
}

async function drillOnce(begun: Begun<DrillOrder>, { undo, clock }: Drilling): Promise<DrillResult> {
  const { order, journal, facts, notices } = begun;
  const { source, host } = order;
  journal.step('choose a moment');
  const chosen = await quick({ summary: 'choose a reachable moment' }).chooseDrillTarget({ source });
  const target: Target = order.target ?? chosen.target;
  journal.note(`target: ${describeTarget(target)}`);
  const wish = { source, target, ...(host === undefined ? {} : { host }) };
  const restore: RestoreResult = await recover(wish, { journal, facts, notices, undo, clock, keepUnproven: false });
  const { failed } = await CancellationScope.nonCancellable(() => undo.unwind(journal));
  const { attention } = journal.progress;
  if (failed > 0) {
    const title = `drill of ${source} left its copy`;
    notices.send({ severity: 'error', title, body: attention ?? '', lasting: true });
  }
  const { rpoMs } = chosen;
  const written = await report({
    kind: 'drill',
    journal,
    facts,
    result: restore,
    ...(rpoMs === undefined ? {} : { rpoMs }),
  });
  return {
    ...{ target, restore, rtoMs: restore.rtoMs, cleaned: failed === 0 },
    ...(rpoMs === undefined ? {} : { rpoMs }),
    objectives: objectivesOf(facts, { rtoMs: restore.rtoMs, rpoMs }),
    ...(written ? { report: written } : {}),
  };
}

function objectivesOf(facts: SourceFacts, measured: { rtoMs: number; rpoMs: number | undefined }): Objective[] {
  return (['rto', 'rpo'] as const).flatMap((name) => {
    const objectiveMs = facts[`${name}Ms`];
    const measuredMs = measured[`${name}Ms`];
    if (objectiveMs === undefined || measuredMs === undefined) return [];
    return [{ name, objectiveMs, measuredMs, ok: measuredMs <= objectiveMs }];
  });
}
