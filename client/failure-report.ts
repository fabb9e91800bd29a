import { failureFacts, failureTypeOf, findFailure } from '../workflows/model/failure.ts';
import type { FailureFacts } from '../workflows/model/failure.ts';
import type { Check } from '../workflows/model/recovery.ts';
import type { ExitName } from './exit-codes.ts';
import { exitCodeOf } from './exit-codes.ts';
import { Stop } from './stop.ts';

/** An error as a person and a program read it. */
export interface FailureReport extends FailureFacts {
  type: ExitName;
  message: string;
  exitCode: number;
  /** Further fields that a failure carries, like the problems of a configuration. */
  more: Record<string, unknown>;
  /** What the failure rests on: the proof of a restore, the checks of a point. */
  evidence?: unknown;
}

const FACTS = ['place', 'expected', 'found', 'hint'] as const;

export function reportOf(error: unknown): FailureReport {
  if (error instanceof Stop) return stopReport(error);
  const failure = findFailure(error);
  const type = failureTypeOf(error);
  if (!failure || !type) return unexpected(error);
  const facts = failureFacts(error);
  const more = Object.entries(facts).filter(([key]) => !(FACTS as readonly string[]).includes(key));
  return {
    type,
    message: withoutHint(failure.message, facts.hint),
    ...Object.fromEntries(FACTS.flatMap((key) => (facts[key] === undefined ? [] : [[key, facts[key]]]))),
    exitCode: exitCodeOf(type),
    more: Object.fromEntries(more),
    ...(failure.details?.[1] === undefined ? {} : { evidence: failure.details[1] }),
  };
}

function stopReport({ exit, message, hint, data }: Stop): FailureReport {
  return { type: exit, message, ...(hint === undefined ? {} : { hint }), exitCode: exitCodeOf(exit), more: data };
}

function unexpected(error: unknown): FailureReport {
  const message = error instanceof Error ? error.message : String(error);
  return { type: 'Unexpected', message, exitCode: exitCodeOf('Unexpected'), more: {} };
}

/** The hint is told on a line of its own. */
function withoutHint(message: string, hint: string | undefined): string {
  const suffix = ` (hint: ${hint})`;
  return hint !== undefined && message.endsWith(suffix) ? message.slice(0, -suffix.length) : message;
}

/** Lines for a person. Facts that the message says already are left out. */
export function failureLines(report: FailureReport): string[] {
  const extra = (['place', 'expected', 'found'] as const).flatMap((key) => {
    const value = report[key];
    return value === undefined || report.message.includes(value) ? [] : [`  ${key}: ${value}`];
  });
  const next = report.hint === undefined ? [] : [`  next: ${report.hint}`];
  return [`lifeboat: ${report.message}`, ...extra, ...checkLines(report.evidence), ...next];
}

/** The checks in an evidence, each with what was found. */
function checkLines(evidence: unknown): string[] {
  const checks = Array.isArray(evidence) ? evidence : (evidence as { checks?: unknown } | undefined)?.checks;
  if (!Array.isArray(checks)) return [];
  return (checks as Check[]).map(({ name, ok, found, detail }) => {
    const more = ok || detail === undefined ? '' : ` (${detail})`;
    return `  ${ok ? 'ok  ' : 'fail'}  ${name}: ${found}${more}`;
  });
}

/** The `error` of `--json`. */
export function failureJson(report: FailureReport): Record<string, unknown> {
  const { exitCode, more, ...rest } = report;
  return { ok: false, error: { ...rest, ...more }, exitCode };
}
