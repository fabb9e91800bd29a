import type { Approval, Evidence } from './approval.ts';
import type { ReportSection } from './report.ts';

/** What was shown to those who approved, and who they were; nothing of what did not come to be. */
export function approvalSections(said: {
  evidence?: Evidence | undefined;
  approvals?: readonly Approval[] | undefined;
}): ReportSection[] {
  const { evidence, approvals } = said;
  const sections: ReportSection[] = [];
  if (evidence) {
    const rows = evidence.facts.map(({ name, value }) => [name, value]);
    sections.push({ title: `Evidence ${evidence.hash.slice(0, 8)}`, head: ['', ''], rows });
  }
  if (approvals) {
    const rows = approvals.map(({ by, at, hash }) => [by, at, hash]);
    sections.push({ title: 'Approved', head: ['by', 'when (UTC)', 'evidence'], rows });
  }
  return sections;
}
