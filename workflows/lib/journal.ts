import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { setCurrentDetails, setHandler, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { RunProgress } from '../messages.ts';
import { progressQuery } from '../messages.ts';
import type { SourceFacts } from '../model/results.ts';
import { formatDuration } from '../model/units.ts';
import { isoNow, nowMs } from './time.ts';

const SOURCE = defineSearchAttributeKey('LifeboatSource', SearchAttributeType.KEYWORD);
const KIND = defineSearchAttributeKey('LifeboatKind', SearchAttributeType.KEYWORD);
const PHASE = defineSearchAttributeKey('LifeboatPhase', SearchAttributeType.KEYWORD);
const OUTCOME = defineSearchAttributeKey('LifeboatOutcome', SearchAttributeType.KEYWORD);
const DRILL = defineSearchAttributeKey('LifeboatDrill', SearchAttributeType.BOOL);

/** A run that lasts for months keeps its newest entries only. */
const MOST_ENTRIES = 200;
const SHOWN_ENTRIES = 25;

/** What a run says of itself: the `progress` query, the details in the Temporal UI, the search attributes. */
export class Journal {
  readonly progress: RunProgress;
  readonly startedMs = nowMs();
  /** Time in which nothing could be done before somebody made room on a disk. */
  waitedMs = 0;
  /** What has to be done before the run says that it has ended; it takes moments, and never fails the run. */
  closing: ((outcome: 'done' | 'failed' | 'cancelled') => Promise<void>) | undefined;
  /** Entries that came before those that are kept. */
  eventsBefore = 0;
  #searchable = false;

  constructor(source: string) {
    this.progress = {
      workflow: workflowInfo().workflowType,
      source,
      step: 'starting',
      outcome: 'running',
      startedAt: isoNow(),
      timeline: [],
    };
    setHandler(progressQuery, () => this.#now());
    this.#show();
  }

  /** From here on the run can be found by its source. */
  facts({ source, kind, searchAttributes, rtoMs }: SourceFacts): void {
    const { workflow } = this.progress;
    this.#searchable = searchAttributes;
    if (rtoMs !== undefined && (workflow === 'restore' || workflow === 'drill' || workflow === 'recover'))
      this.progress.rto = { objectiveMs: rtoMs, elapsedMs: 0, warned: false, escalated: false };
    if (!searchAttributes) return;
    upsertSearchAttributes([
      { key: SOURCE, value: source },
      { key: KIND, value: kind },
      { key: DRILL, value: workflow === 'drill' || workflow === 'failoverDrill' },
      { key: OUTCOME, value: 'running' },
    ]);
  }

  /** What the run does now. */
  step(what: string): void {
    const isNew = this.progress.step !== what;
    this.progress.step = what;
    if (this.#searchable && isNew) upsertSearchAttributes([{ key: PHASE, value: what.slice(0, 100) }]);
    this.note(what);
  }

  /** Something that happened. */
  note(what: string): void {
    const { timeline } = this.progress;
    timeline.push({ at: isoNow(), what });
    if (timeline.length > MOST_ENTRIES) {
      timeline.shift();
      this.eventsBefore += 1;
    }
    this.#show();
  }

  /** What a person must do; undefined when it is done. */
  attention(text: string | undefined): void {
    if (text === this.progress.attention) return;
    if (text === undefined) delete this.progress.attention;
    else this.progress.attention = text;
    this.note(text === undefined ? 'back to normal' : `attention: ${text}`);
  }

  end(outcome: 'done' | 'failed' | 'cancelled', what: string): void {
    this.progress.outcome = outcome;
    this.progress.step = what;
    if (this.#searchable) upsertSearchAttributes([{ key: OUTCOME, value: outcome }]);
    this.note(what);
  }

  elapsedMs(): number {
    return nowMs() - this.startedMs;
  }

  #now(): RunProgress {
    const { rto } = this.progress;
    return rto ? { ...this.progress, rto: { ...rto, elapsedMs: this.elapsedMs() } } : this.progress;
  }

  #show(): void {
    const { source, step, outcome, rto, attention, timeline } = this.progress;
    const left =
      rto && outcome === 'running'
        ? `\n\nRTO ${formatDuration(rto.objectiveMs)}, used ${formatDuration(this.elapsedMs())}`
        : '';
    const urgent = attention === undefined ? '' : `\n\n**Attention:** ${attention}`;
    const entries = timeline.slice(-SHOWN_ENTRIES).map(({ at, what }) => `- \`${at.slice(11, 23)}\` ${what}`);
    setCurrentDetails(`**${source}**: ${step} (${outcome})${left}${urgent}\n\n${entries.join('\n')}`);
  }
}
