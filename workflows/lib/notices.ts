import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ackUpdate, carrySignal, overSignal } from '../messages.ts';
import { failure } from '../model/failure.ts';
import { workflowId } from '../model/names.ts';
import type { AckMessage, Acknowledged, Carried, Notice, OpenGroup, Said } from '../model/notice.ts';
import { ackProblem } from '../model/notice.ts';
import type { NoticesOrder } from '../model/orders.ts';
import type { SourceFacts } from '../model/results.ts';
import { priorityOf } from '../model/severity.ts';
import { telling } from '../options.ts';
import type { Journal } from './journal.ts';
import { NoticeDesk } from './notice-desk.ts';
import { startOnItsOwn } from './start-on-its-own.ts';
import { isoNow, nowMs } from './time.ts';

export type { Notice } from '../model/notice.ts';

/** How long the end of a run waits for messages on their way. */
const LAST_WAIT = '30s';

/**
 * Messages to people, sent beside the run, which never waits for them but for a moment at its end. Each goes to those who want its
 * severity, after the delay they want; what is kept back is dropped when it is over or acknowledged. What is not over when the run
 * ends goes on in a run of its own, `notices/<id>`, until the next run of the same id ends well.
 */
export class Notices {
  /** Of the source as it is configured now. */
  facts: SourceFacts;
  readonly #journal: Journal;
  readonly #desk: NoticeDesk;
  readonly #keys = new Set<string>();
  #flying = 0;
  #sent = 0;
  #isClosed = false;

  constructor(facts: SourceFacts, journal: Journal) {
    this.facts = facts;
    this.#journal = journal;
    this.#desk = new NoticeDesk({ source: facts.source, run: workflowInfo().workflowId, journal });
    hearAcknowledgements(this.#desk);
    journal.closing = (outcome) => this.close(outcome);
  }

  send(notice: Notice): void {
    if (!this.facts.notify || this.#isRepeat(notice.key)) return;
    if (this.#isClosed) return this.#journal.note(`not told, for the run has ended: ${notice.title}`);
    const { workflowId: run, runId } = workflowInfo();
    const key = `${run}/${runId}/${notice.key ?? ++this.#sent}`;
    if (this.facts.notifiers === undefined) return this.#sendToAll(notice, key);
    const group = groupOf(notice.about);
    const { severity, title, body, windows } = notice;
    if (notice.over) return this.#tellOver(group, { title, body });
    const at = isoNow();
    const shown = windows ? { windows } : {};
    const said: Said = { ...{ severity, title, body, key, group, at }, state: 'open', ...shown };
    if (severity !== 'info') this.#desk.begin(said, notice.lasting === true);
    this.#tellThose(said, notice.urgent === true);
    if (severity === 'critical') this.#escalate(said);
  }

  /** What was told about one thing is over. */
  over(about: string, words: { title: string; body: string }): void {
    if (this.facts.notifiers && this.facts.notifiers.length > 0) this.#tellOver(groupOf(about), words);
  }

  /** Waits for messages that are on their way, and not for long. */
  async settle(): Promise<void> {
    if (this.#flying > 0) await CancellationScope.nonCancellable(() => condition(() => this.#flying === 0, LAST_WAIT));
  }

  /**
   * The run ends, or begins a new one (goes on): what its good end or its cancellation mends is over, the rest is told on and
   * ended from outside of it. Runs whose worker did not know of delays leave nothing.
   */
  async close(outcome: 'done' | 'failed' | 'cancelled' | 'goes on'): Promise<void> {
    if (outcome === 'goes on') await this.settle();
    if (this.#isClosed || this.facts.notifiers === undefined || this.facts.notifiers.length === 0) return;
    this.#isClosed = true;
    await CancellationScope.nonCancellable(async () => {
      const mended = ({ lasting }: OpenGroup): boolean => outcome === 'cancelled' || (outcome === 'done' && !lasting);
      for (const { group } of this.#desk.open.filter(mended))
        this.#desk.over(group, { body: `The run is ${outcome}.` });
      const left = await this.#desk.close();
      // Of an earlier run: this one ended well, and had nothing of it to tell. One that went on is one with those before it.
      const isContinued = workflowInfo().continuedFromExecutionRunId !== undefined;
      const isMended = outcome === 'done' || (outcome === 'cancelled' && isContinued);
      if (isMended && left.groups.length === 0) await signalLeft(overSignal);
      if (left.groups.length + left.waiting.length > 0) await leave(this.facts.source, left);
    });
  }

  /** Who wants its severity, when they want it. */
  #tellThose(said: Said, isUrgent: boolean): void {
    for (const { name, tells } of this.facts.notifiers ?? []) {
      const afterMs = tells[priorityOf(said.severity)];
      if (afterMs !== undefined) this.#desk.send({ to: name, dueAt: later(isUrgent ? 0 : afterMs), said });
    }
  }

  #isRepeat(key: string | undefined): boolean {
    if (key === undefined) return false;
    const isKnown = this.#keys.has(key);
    this.#keys.add(key);
    return isKnown;
  }

  /** One ladder for each thing, however much is told of it. */
  #escalate(said: Said): void {
    if (this.#desk.isEscalating(said.group)) return;
    for (const { to, afterMs } of this.facts.escalation ?? []) {
      const title = `not acknowledged: ${said.title}`;
      const more: Said = { ...said, title, key: `${said.key}/escalation` };
      this.#desk.send({ to, dueAt: later(afterMs), said: more, escalates: true });
    }
  }

  #tellOver(group: string, words: { title: string; body: string }): void {
    if (this.#desk.over(group, words)) return;
    void CancellationScope.nonCancellable(() => signalLeft(overSignal, group));
  }

  /** As before there were delays: everybody at once, and all of them again when one was not reached. */
  #sendToAll(notice: Notice, key: string): void {
    const { severity, title, body, windows: wanted } = notice;
    const { workflowId: run } = workflowInfo();
    const { source } = this.facts;
    this.#flying += 1;
    void CancellationScope.nonCancellable(async () => {
      try {
        const acts = telling({ summary: `tell people: ${title}` });
        const more = wanted ? { windows: wanted } : {};
        const { failed, windows } = await acts.notify({
          ...{ severity, title, body, source, run, key, at: isoNow() },
          ...more,
        });
        if (windows !== undefined) this.#journal.note(windows);
        if (failed.length > 0) this.#journal.note(`not told: ${failed.join(', ')}`);
      } catch {
        this.#journal.note(`nobody could be told: ${title}`);
      } finally {
        this.#flying -= 1;
      }
    });
  }
}

/** Somebody says that they are at it: nobody else is called. Also from the Temporal UI, with {"by":"anna"}. */
export function hearAcknowledgements(desk: NoticeDesk): void {
  setHandler(ackUpdate, (message: AckMessage): Acknowledged => desk.acknowledge(message), {
    validator: (message) => {
      const problem = ackProblem(desk.open, message);
      if (problem !== undefined) throw failure('Precondition', problem, { place: 'ack', hint: 'lifeboat ack RUN' });
    },
  });
}

/** The same in every run of one id: what one leaves open the next one may end. */
function groupOf(about: string | undefined): string {
  const { workflowId: run } = workflowInfo();
  return about === undefined ? run : `${run} ${about}`;
}

function later(afterMs: number): string {
  return new Date(nowMs() + afterMs).toISOString();
}

/** What runs of this id have left, if there is something: nobody minds when there is not. */
async function signalLeft(signal: typeof overSignal, group?: string): Promise<void> {
  const left = getExternalWorkflowHandle(workflowId.notices(workflowInfo().workflowId));
  await left.signal(signal, ...(group === undefined ? [] : ([group] as [string]))).catch(() => undefined);
}

/** What earlier runs of this id have left takes it up; else it is a run of its own. */
async function leave(source: string, carried: Carried): Promise<void> {
  const { workflowId: run } = workflowInfo();
  const id = workflowId.notices(run);
  const input: NoticesOrder = { source, run, carried };
  try {
    await startOnItsOwn('notices', { id, input, summary: `tell people of ${run}` });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const handle = getExternalWorkflowHandle(id);
    // It may end at this moment, and then the way is free.
    await handle.signal(carrySignal, carried).catch(() => startOnItsOwn('notices', { id, input, summary: run }));
  }
}
