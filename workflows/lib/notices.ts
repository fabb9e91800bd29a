import { CancellationScope, condition, workflowInfo } from '@temporalio/workflow';
import type { SourceFacts } from '../model/results.ts';
import { telling } from '../options.ts';
import type { Journal } from './journal.ts';
import { isoNow } from './time.ts';

export interface Notice {
  severity: 'info' | 'warning' | 'critical';
  title: string;
  body: string;
  /** Say also what can be restored now. */
  windows?: true;
}

/** How long the end of a run waits for messages on their way. */
const LAST_WAIT = '30s';

/** Messages to people. They are sent beside the run, which never waits for them until its end, and then not for long. */
export class Notices {
  /** Of the source as it is configured now. */
  facts: SourceFacts;
  readonly #journal: Journal;
  #flying = 0;
  #sent = 0;

  constructor(facts: SourceFacts, journal: Journal) {
    this.facts = facts;
    this.#journal = journal;
  }

  send(notice: Notice): void {
    if (!this.facts.notify) return;
    const { workflowId, runId } = workflowInfo();
    const { source } = this.facts;
    const key = `${workflowId}/${runId}/${++this.#sent}`;
    this.#flying += 1;
    void CancellationScope.nonCancellable(async () => {
      try {
        const acts = telling({ summary: `tell people: ${notice.title}` });
        const { failed, windows } = await acts.notify({ ...notice, source, run: workflowId, key, at: isoNow() });
        if (windows !== undefined) this.#journal.note(windows);
        if (failed.length > 0) this.#journal.note(`not told: ${failed.join(', ')}`);
      } catch {
        this.#journal.note(`nobody could be told: ${notice.title}`);
      } finally {
        this.#flying -= 1;
      }
    });
  }

  async settle(): Promise<void> {
    if (this.#flying > 0) await CancellationScope.nonCancellable(() => condition(() => this.#flying === 0, LAST_WAIT));
  }
}
