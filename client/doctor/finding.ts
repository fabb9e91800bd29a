import { failureFacts, findFailure } from '../../workflows/model/failure.ts';
import type { ExitName } from '../exit-codes.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { reportOf } from '../failure-report.ts';

/** One line of the doctor. */
export interface Finding {
  /** What was looked at: "configuration", "store local: write". */
  name: string;
  state: 'ok' | 'warn' | 'fail';
  found: string;
  /** How to mend it. */
  hint?: string;
  /** Of a failure: what the exit code is taken from. */
  type?: ExitName;
}

export function good(name: string, found: string): Finding {
  return { name, state: 'ok', found };
}

export function warning(name: string, found: string, hint: string): Finding {
  return { name, state: 'warn', found, hint };
}

/** A failure as a finding; what is no failure of ours is one too, with exit code 1. */
export function findingOf(name: string, error: unknown, state: 'warn' | 'fail' = 'fail'): Finding {
  const { message, type } = reportOf(error);
  const { hint } = findFailure(error) ? failureFacts(error) : {};
  return { name, state, found: message, type, ...(hint === undefined ? {} : { hint }) };
}

/** 0 when nothing failed; else the code of the first failure, which the others often follow from. */
export function doctorExitCode(findings: readonly Finding[]): number {
  const failed = findings.find((finding) => finding.state === 'fail');
  return failed ? exitCodeOf(failed.type ?? 'Precondition') : 0;
}

export function findingLines(findings: readonly Finding[]): string[] {
  const widest = Math.max(0, ...findings.map(({ name }) => name.length));
  return findings.flatMap(({ name, state, found, hint }) => [
    `${state.padEnd(4)}  ${name.padEnd(widest)}  ${found.split('\n').join(`\n${' '.repeat(widest + 8)}`)}`,
    ...(hint === undefined || state === 'ok' ? [] : [`${' '.repeat(widest + 8)}mend: ${hint}`]),
  ]);
}
