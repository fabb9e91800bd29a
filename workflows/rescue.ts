import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { Approvals } from './lib/approval.ts';
import type { Begun } from './lib/begin.ts';
import { begin } from './lib/begin.ts';
import type { Compensations } from './lib/conclude.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { keepFinished } from './lib/keep-finished.ts';
import { recover } from './lib/recover.ts';
import { report } from './lib/report.ts';
import { startRtoClock } from './lib/rto-clock.ts';
import type { Approval, Evidence } from './model/approval.ts';
import { approvalSections } from './model/approval-sections.ts';
import { failure } from './model/failure.ts';
import { hostQueue } from './model/names.ts';
import type { RestoreOrder } from './model/orders.ts';
import type { RestoreResult } from './model/recovery.ts';
import type { ReportSection } from './model/report.ts';
import type { Difference, RescueOrder, RescueResult, Rescued, RowsTask } from './model/rescue.ts';
import { differenceSection, factsOfDifference, isChanged, otherwiseText, rescuedSection } from './model/rescue.ts';
import type { SourceFacts } from './model/results.ts';
import { USUAL_APPROVAL } from './model/service.ts';
import { describeTarget } from './model/target.ts';
import { bulk, quick } from './options.ts';

/**
 * Brings rows of an earlier moment back into a database that goes on: the database is restored beside it and proven, its tables are
 * compared with those of now, and what was approved is written in one transaction. Nothing is ever deleted.
 * Input: {"source":"shop","by":"anna","onlyDatabase":"crm","tables":["public.orders"],"target":{"kind":"time","time":"2026-03-01T11:59:59Z"}}.
 */
export async function rescue(given: RescueOrder): Promise<RescueResult> {
  const begun = await begin<RescueOrder>('rescue', given, {
    ...{ 'source!': 'text', 'by!': 'text', 'onlyDatabase!': 'text', 'tables!': 'list' },
    ...{ where: 'text', overwrite: 'flag', compareOnly: 'flag' },
    ...{ target: 'target', timeline: 'timeline', point: 'text', host: 'text', into: 'text', port: 'port' },
  });
  const { order, journal, facts, notices } = begun;
  const approvals = new Approvals(journal);
  const clock = startRtoClock(journal, notices);
  const said: Said = {};
  try {
    return await conclude(
      journal,
      async (undo) => {
        checkRescue(order, facts);
        const use = { journal, facts, notices, undo, clock, keepUnproven: true, unfinished: true };
        const restore: RestoreResult = await recover(wishOf(order), use);
        journal.progress.result = said.restore = restore;
        return bringBack({ ...begun, approvals, undo, said, restore });
      },
      {
        tell: (error) => {
          const title = `rescue of rows of ${order.source} failed`;
          notices.send({ severity: 'critical', title, body: messageOf(error) });
        },
        finish: async (error) => {
          const { restore } = said;
          const sections = sectionsOf(said);
          if (journal.progress.phases === undefined) return;
          await report({ kind: 'rescue', journal, facts, error, sections, ...(restore ? { result: restore } : {}) });
        },
      },
    );
  } finally {
    clock.stop();
    await notices.settle();
  }
}

/** What is known so far, for the report of a run that fails. */
interface Said {
  restore?: RestoreResult;
  difference?: Difference;
  evidence?: Evidence;
  approvals?: Approval[];
  rescued?: Rescued;
}

interface Rescuing extends Begun<RescueOrder> {
  approvals: Approvals;
  undo: Compensations;
  said: Said;
  restore: RestoreResult;
}

function checkRescue({ tables }: RescueOrder, { dumps, kind, source }: SourceFacts): void {
  if (dumps) {
    throw failure('Unsupported', `source ${source} of kind ${kind} has only the moments of its dumps`, {
      ...{ place: `source ${source}`, expected: 'a source of kind postgres', found: kind },
      hint: `lifeboat restore ${source} --only-table TABLE --into-database NAME`,
    });
  }
  if (tables.length > 0) return;
  throw failure('ConfigInvalid', 'order rescue names no table', {
    ...{ place: 'rescue.tables', expected: 'at least one table', found: 'none' },
    hint: `lifeboat rescue ${source} --only-database NAME --table SCHEMA.TABLE`,
  });
}

function wishOf(order: RescueOrder): RestoreOrder {
  const { by: _by, tables, where, overwrite: _overwrite, compareOnly: _compareOnly, ...wish } = order;
  return { ...wish, rows: { tables, ...(where === undefined ? {} : { where }) } };
}

/** Compares, asks, writes; then the copy is removed. When it fails the copy is kept: it took longest. */
async function bringBack(use: Rescuing): Promise<RescueResult> {
  const { order, journal, facts, undo, said, restore } = use;
  try {
    journal.step('compare rows');
    const difference = await compare(use);
    const isWanted = difference.inserts + difference.updates > 0 && order.compareOnly !== true;
    const rescued = isWanted ? await writeApproved(use, difference) : undefined;
    if (!isWanted) journal.note(order.compareOnly ? 'only the difference was asked for' : 'nothing is to be written');
    const { failed } = await CancellationScope.nonCancellable(() => undo.unwind(journal));
    const stored = await report({ kind: 'rescue', journal, facts, result: restore, sections: sectionsOf(said) });
    return {
      ...{ restore, difference: said.difference ?? difference, approvals: said.approvals ?? [], cleaned: failed === 0 },
      ...(rescued ? { rescued } : {}),
      ...(said.evidence ? { evidence: said.evidence } : {}),
      ...(stored ? { report: stored } : {}),
    };
  } catch (error) {
    if (!isCancellation(error)) await keepFinished(restore.plan, use);
    throw error;
  }
}

function taskOf({ order, restore }: Rescuing): RowsTask {
  const { source, tables, where, overwrite } = order;
  return {
    ...{ source, tables, plan: restore.plan },
    ...(where === undefined ? {} : { where }),
    ...(overwrite === undefined ? {} : { overwrite }),
  };
}

async function compare(use: Rescuing): Promise<Difference> {
  const { journal, order, said, restore } = use;
  const acts = bulk({ summary: `compare ${order.tables.join(', ')}`, taskQueue: hostQueue(restore.plan.host) });
  const difference = await acts.compareRows(taskOf(use));
  said.difference = difference;
  const { inserts, updates } = difference;
  journal.note(`${inserts} rows are to be inserted, ${updates} overwritten`);
  return difference;
}

/** What has changed since somebody approved it is shown again: only what was seen is written. */
async function writeApproved(use: Rescuing, seen: Difference): Promise<Rescued> {
  const { order, journal, notices, approvals, said, facts, restore } = use;
  const acts = bulk({ summary: 'write the approved rows', taskQueue: hostQueue(restore.plan.host) });
  let fresh: Difference | undefined = seen;
  const look = async (): Promise<Difference> => {
    const difference = fresh ?? (await compare(use));
    fresh = undefined;
    return difference;
  };
  for (;;) {
    const { evidence, given } = await approvals.ask({
      ...{ journal, notices, rule: facts.approval ?? USUAL_APPROVAL, initiator: order.by },
      what: `write rows into database ${order.onlyDatabase} of ${order.source}`,
      weigh: async () => weigh(use, await look()),
    });
    [said.evidence, said.approvals] = [evidence, given];
    journal.step('write rows');
    try {
      const rescued = await acts.writeRows({ ...taskOf(use), hash: said.difference?.hash ?? '' });
      said.rescued = rescued;
      journal.note(`transaction ${rescued.xid} is committed on ${rescued.server}`);
      tellPeople(use, rescued);
      return rescued;
    } catch (error) {
      if (!isChanged(error)) throw error;
      journal.note('rows have changed since they were approved: nothing was written, they are shown again');
    }
  }
}

/** What is committed and still not as whoever approved it may think. */
function tellPeople({ journal, notices, order }: Rescuing, { behind, otherwise = [] }: Rescued): void {
  const told = [
    ...(otherwise.length > 0 ? [`look at rows that are not as the copy has them: ${otherwiseText(otherwise)}`] : []),
    ...(behind.length > 0 ? [`set these sequences forward: ${behind.join('; ')}`] : []),
  ];
  if (told.length > 0) journal.attention(told.join('; '));
  if (otherwise.length === 0) return;
  const title = `rows brought back into ${order.source} were changed as they were written`;
  notices.send({ severity: 'warning', title, body: otherwiseText(otherwise) });
}

async function weigh({ order, restore }: Rescuing, difference: Difference): Promise<Evidence> {
  const { plan, proof } = restore;
  const facts = [
    { name: 'rescue', value: `${order.tables.join(', ')} of database ${order.onlyDatabase}, started by ${order.by}` },
    { name: 'as they were', value: `${describeTarget(plan.target)}, from ${plan.base.point}` },
    { name: 'proof', value: `${proof.checks.length} checks, ${proof.relations} relations, ${proof.rows} rows` },
    ...factsOfDifference(order, difference),
  ];
  const acts = quick({ summary: 'read the evidence again', taskQueue: hostQueue(plan.host) });
  return acts.weighRecovery({ source: order.source, plan, facts });
}

function sectionsOf({ difference, evidence, approvals, rescued }: Said): ReportSection[] {
  return [
    ...(difference ? [differenceSection(difference)] : []),
    ...approvalSections({ evidence, approvals }),
    ...(rescued ? [rescuedSection(rescued)] : []),
  ];
}
