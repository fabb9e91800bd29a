import type { Approval, Evidence } from '../model/approval.ts';
import type { ApprovalRule } from '../model/service.ts';
import type { FailingOver, Said } from './failing-over.ts';

/** Who asks; what a decision rests on is left in `said`. */
export interface Asker extends Pick<FailingOver, 'approvals' | 'journal' | 'notices'> {
  order: { by: string };
  said: Pick<Said, 'evidence' | 'approvals'>;
}

export interface Permitting {
  /** Undefined: it goes ahead by itself, for the configuration says so. */
  rule: ApprovalRule | undefined;
  what: string;
  /** Reads everything again that the decision rests on; throws when it does not hold any more. */
  weigh(): Promise<Evidence>;
}

/** Asks those who have to agree. What a decision rests on is kept either way. */
export async function permitted(use: Asker, { rule, what, weigh }: Permitting): Promise<Approval[]> {
  const { approvals, journal, notices, order, said } = use;
  if (!rule) {
    said.evidence = await weigh();
    said.approvals = [];
    journal.note(`${what}: goes ahead without an approval, as the configuration says`);
    return [];
  }
  const asked = await approvals.ask({ journal, notices, rule, initiator: order.by, what, weigh });
  said.evidence = asked.evidence;
  said.approvals = asked.given;
  return asked.given;
}
