import type { RescueResult, TableDifference } from '../workflows/model/rescue.ts';
import { describeTarget } from '../workflows/model/target.ts';
import { proofText } from './restore-lines.ts';
import { pairLines } from './table.ts';

/** What was found, and what was written. */
export function rescueLines({ restore, difference, rescued, approvals, cleaned, report }: RescueResult): string[] {
  const { plan, proof } = restore;
  const rows = (rescued?.tables ?? []).reduce((sum, each) => sum + each.inserted + each.overwritten, 0);
  return [
    rescued
      ? `${rows} rows of ${plan.source} were written as they were, in one transaction`
      : `nothing was written into ${plan.source}`,
    ...pairLines([
      ['  as they were', `${describeTarget(plan.target)}, from ${plan.base.point}`],
      ...difference.tables.map((each): [string, string] => [`  ${each.table}`, differenceText(each)]),
      ...(rescued?.tables ?? []).map((each): [string, string] => [
        `  ${each.table}`,
        `${each.inserted} inserted, ${each.overwritten} overwritten`,
      ]),
      ['  transaction', rescued && `${rescued.xid} on ${rescued.server}`],
      ['  SEQUENCES', listed(rescued?.behind ?? [])],
      ['  approved by', listed(approvals.map(({ by }) => by))],
      ['  every row', listed(difference.reports)],
      ['  proof', proofText(proof)],
      ['  copy', cleaned ? 'removed' : 'NOT removed, see the run'],
      ['  report', report && `${report.file} on host ${report.host}`],
    ]),
  ];
}

function listed(texts: readonly string[]): string | undefined {
  return texts.length > 0 ? texts.join(', ') : undefined;
}

function differenceText({ chosen, missing, differing, extra }: TableDifference): string {
  return `of ${chosen} rows ${missing} were missing, ${differing} differed; ${extra} came since`;
}
