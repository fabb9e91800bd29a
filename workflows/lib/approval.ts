import { condition, setHandler } from '@temporalio/workflow';
import { approveUpdate, refuseUpdate } from '../messages.ts';
import type { Approval, ApproveMessage, Evidence, PendingApproval, RefuseMessage } from '../model/approval.ts';
import { approvalProblem, isApproved, refusalProblem } from '../model/approval.ts';
import { failure } from '../model/failure.ts';
import type { ApprovalRule } from '../model/service.ts';
import { formatDuration } from '../model/units.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { isoNow, nowMs } from './time.ts';

/** What people are told of it is one thing: it is over when it is decided, and the run goes on. */
const APPROVAL = 'approval';

export interface Asking {
  journal: Journal;
  notices: Notices;
  rule: ApprovalRule;
  /** Who started the run. */
  initiator: string;
  /** What happens when it is given: "switch the traffic of web to 10.0.0.9:5432". */
  what: string;
  /** Reads everything again that the decision rests on. */
  weigh(): Promise<Evidence>;
}

/** What was approved, and by whom. */
export interface Approved {
  evidence: Evidence;
  given: Approval[];
}

/** The approvals of one run: nobody is heard before something is asked, nor twice. */
export class Approvals {
  readonly #journal: Journal;
  #pending: PendingApproval | undefined;
  #refusal: RefuseMessage | undefined;

  /** Validators are synchronous: what they refuse never gets into the history. */
  constructor(journal: Journal) {
    this.#journal = journal;
    setHandler(approveUpdate, (message) => this.#approve(message), {
      validator: (message) => refuseIf(approvalProblem(this.#pending, message)),
    });
    setHandler(
      refuseUpdate,
      (message) => {
        this.#refusal = message;
        journal.note(`${message.by} refuses: ${message.reason}`);
      },
      { validator: (message) => refuseIf(refusalProblem(this.#pending, message)) },
    );
  }

  /**
   * Waits until enough people have approved the evidence as it is: it is read again when they have, and when it is another one
   * by then they are asked again. Refused when somebody says no, and when the time is over.
   */
  async ask(use: Asking): Promise<Approved> {
    const { rule, what } = use;
    const untilMs = nowMs() + rule.withinMs;
    this.#journal.step(`wait for approval: ${what}`);
    let evidence = await use.weigh();
    for (;;) {
      const given = await this.#decide(use, { evidence, untilMs });
      const now = await use.weigh();
      if (now.hash === evidence.hash) return { evidence: now, given };
      this.#journal.note('the evidence has changed since it was approved: it is asked for again');
      evidence = now;
    }
  }

  #approve(message: ApproveMessage): PendingApproval {
    const pending = this.#pending;
    if (!pending) throw rejected('nothing waits for an approval now');
    pending.given.push({ ...message, at: isoNow() });
    this.#journal.note(`${message.by} approves ${pending.evidence.hash.slice(0, 8)}`);
    return pending;
  }

  async #decide(use: Asking, at: { evidence: Evidence; untilMs: number }): Promise<Approval[]> {
    const { rule, initiator, what } = use;
    const { evidence, untilMs } = at;
    const until = new Date(untilMs).toISOString();
    const pending: PendingApproval = { what, evidence, rule, initiator, given: [], until };
    this.#refusal = undefined;
    this.#pending = this.#journal.progress.approval = pending;
    tell(use, pending);
    try {
      const isDecided = (): boolean => this.#refusal !== undefined || isApproved(pending);
      const inTime = untilMs > nowMs() && (await condition(isDecided, untilMs - nowMs()));
      const refusal = this.#refusal as RefuseMessage | undefined;
      if (refusal) throw refused(use, refusal);
      if (!inTime) throw expired(use, pending);
      return pending.given;
    } finally {
      // What is decided is decided: a late word must not be taken while the evidence is read again.
      this.#pending = undefined;
      delete this.#journal.progress.approval;
      this.#journal.attention(undefined);
      use.notices.over(APPROVAL, {
        title: `no approval is wanted any more: ${what}`.slice(0, 300),
        body: 'It is decided.',
      });
    }
  }
}

function refuseIf(problem: string | undefined): void {
  if (problem !== undefined) throw rejected(problem);
}

function rejected(problem: string): Error {
  return failure('Precondition', problem, { place: 'approval', hint: 'lifeboat approve RUN shows what waits' });
}

function tell({ journal, notices, what }: Asking, { rule, evidence, until }: PendingApproval): void {
  const { source, workflow } = journal.progress;
  const run = `${workflow}/${source}`;
  const who = rule.from.length > 0 ? ` of ${rule.from.join(', ')}` : '';
  const command = `lifeboat approve ${run} --evidence ${evidence.hash.slice(0, 8)}`;
  journal.attention(`it waits until ${until} for ${rule.of} approval${rule.of === 1 ? '' : 's'}${who}: ${command}`);
  const lines = evidence.facts.map(({ name, value }) => `- ${name}: ${value}`).join('\n');
  const body = `${lines}\n\nLook: lifeboat approve ${run}\nApprove: ${command}\nUntil: ${until}`.slice(0, 3900);
  const title = `${run} waits for approval: ${what}`.slice(0, 300);
  // The same evidence may come again behind another one.
  notices.send({ severity: 'critical', title, body, about: APPROVAL, key: `approval ${evidence.hash} ${isoNow()}` });
}

function refused({ what }: Asking, { by, reason }: RefuseMessage): Error {
  return failure('Refused', `${by} refused: ${reason}`, {
    place: what,
    expected: 'an approval',
    found: `refused by ${by}`,
    hint: 'nothing was switched; start it again when it is wanted',
  });
}

function expired({ what, rule }: Asking, { given, until }: PendingApproval): Error {
  return failure('Refused', `nobody decided in time: ${what}`, {
    place: what,
    expected: `${rule.of} within ${formatDuration(rule.withinMs)}, until ${until}`,
    found: given.length === 0 ? 'no approval' : `approved by ${given.map(({ by }) => by).join(', ')} only`,
    hint: 'nothing was switched; start it again, or give services.NAME.approval.within more time',
  });
}
