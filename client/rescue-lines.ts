import type { Rescued, RescueResult, TableDifference } from '../workflows/model/rescue.ts';
import { otherwiseText } from '../workflows/model/rescue.ts';
import { describeTarget } from '../workflows/model/target.ts';
import { proofText } from './restore-lines.ts';
import { reportPairs } from './report-pairs.ts';
import { pairLines } from './table.ts';

/** What was found, and what was written. */
export function rescueLines({ restore, difference, rescued, approvals, cleaned, report }: RescueResult): string[] {
  const { plan, proof } = restore;
  return [
    headline(plan.source, rescued),
    ...pairLines([
      ['  as they were', `${describeTarget(plan.target)}, from ${plan.base.point}`],
      ...difference.tables.map((each): [string, string] => [`  ${each.table}`, differenceText(each)]),
      ...(rescued?.tables ?? []).map((each): [string, string] => [
        `  ${each.table}`,
        `${each.inserted} inserted, ${each.overwritten} overwritten`,
      ]),
      ['  transaction', rescued && `${rescued.xid} on ${rescued.server}`],
      ...(rescued ? doubts(rescued) : []),
      ['  approved by', listed(approvals.map(({ by }) => by))],
      ['  every row', listed(difference.reports)],
      ['  proof', proofText(proof)],
      ['  copy', cleaned ? 'removed' : 'NOT removed, see the run'],
      ...reportPairs(report),
    ]),
  ];
}

function headline(source: string, rescued: Rescued | undefined): string {
  if (!rescued) return `nothing was written into ${source}`;
  const rows = rescued.tables.reduce((sum, each) => sum + each.inserted + each.overwritten, 0);
  const changed = (rescued.otherwise ?? []).reduce((sum, each) => sum + each.rows, 0);
  const how = changed > 0 ? `(${changed} NOT as they were)` : 'as they were';
  return `${rows} rows of ${source} were written ${how}, in one transaction`;
}

function doubts({ behind, otherwise = [] }: Rescued): [string, string | undefined][] {
  return [
    ['  NOT AS THEY WERE', otherwise.length > 0 ? otherwiseText(otherwise) : undefined],
    ['  SEQUENCES', listed(behind)],
  ];
}

function listed(texts: readonly string[]): string | undefined {
  return texts.length > 0 ? texts.join(', ') : undefined;
}

function differenceText({ chosen, missing, differing, extra }: TableDifference): string {
  return `of ${chosen} rows ${missing} were missing, ${differing} differed; ${extra} came since`;
}
