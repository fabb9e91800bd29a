import { createPublicKey, verify } from 'node:crypto';
import type { FailureType } from '../../workflows/model/failure.ts';
import type { KeyRing } from '../vault/vault.ts';
import { sha256 } from './canonical.ts';
import type { Chain, SealedReport } from './chain.ts';
import { eventHash, factsHash, signedBytes } from './chain.ts';
import { htmlEvents } from './html.ts';
import { markdownEvents } from './markdown.ts';
import { sealedReportSchema } from './schema.ts';
import { reportName } from './name.ts';
import { jsonOf } from './written.ts';

export interface VerifyWishes {
  /** Whose signatures count; undefined: nobody is asked who wrote it. */
  keys?: KeyRing['trusted'] | undefined;
  /** The head, as somebody knows it from elsewhere. */
  head?: string | undefined;
}

/** Files of one report. */
export interface ReportFiles {
  json: string;
  /** Undefined: it is not there. */
  html: string | undefined;
  markdown: string | undefined;
}

export interface ReportProblem {
  place: string;
  expected: string;
  found: string;
}

/** Whether a report is what was written, and where it is not. */
export interface ReportVerdict {
  ok: boolean;
  /** Of its files, without their endings. */
  name?: string;
  run?: string;
  outcome?: string;
  events?: number;
  head?: string;
  /** Number of the first event that does not fit, from 1. */
  firstBad?: number;
  signature: 'good' | 'missing' | 'of another key' | 'wrong' | 'not looked at';
  signer?: string;
  problems: ReportProblem[];
  /** How a command ends; absent: well. */
  type?: Extract<FailureType, 'Integrity' | 'Unsupported'>;
}

/** Compares a stored report with itself, its pages and its signature. It asks nobody and reads nothing. */
export function verifyReport(files: ReportFiles, wishes: VerifyWishes = {}): ReportVerdict {
  const { sealed, problem, type } = parse(files.json);
  if (!sealed) return { ok: false, signature: 'not looked at', problems: [problem], type };
  const { run, outcome, events, chain } = sealed;
  const { problems, firstBad } = chainProblems(sealed);
  const signed = signatureOf(chain, wishes.keys);
  problems.push(...signed.problems, ...headProblems(chain, wishes.head), ...pageProblems(sealed, files));
  if (problems.length === 0 && jsonOf(sealed) !== files.json)
    problems.push({ place: 'the file', expected: 'the form in which it was written', found: 'another one with the same content' }); // prettier-ignore
  return {
    ...{
      ok: problems.length === 0,
      name: reportName(sealed),
      run,
      outcome,
      events: events.length,
      head: chain.head,
      problems,
    },
    ...{ signature: signed.signature, ...(chain.signer === undefined ? {} : { signer: chain.signer }) },
    ...(firstBad === undefined ? {} : { firstBad }),
    ...(problems.length === 0 ? {} : { type: 'Integrity' as const }),
  };
}

type Parsed =
  | { sealed: SealedReport; problem?: never; type?: never }
  | { sealed?: never; problem: ReportProblem; type: 'Integrity' | 'Unsupported' };

function parse(json: string): Parsed {
  const value = asJson(json);
  const expected = 'a report of the form lifeboat-report/1';
  const format = (value as { format?: unknown } | undefined)?.format;
  const version = Number(/^lifeboat-report\/([1-9]\d*)$/.exec(String(format))?.[1] ?? 0);
  if (version > 1) return { problem: { place: 'format', expected, found: `${String(format)}: install the newest lifeboat` }, type: 'Unsupported' }; // prettier-ignore
  const { error } = sealedReportSchema.safeParse(value);
  if (!error) return { sealed: value as SealedReport };
  const [issue] = error.issues;
  const place = value === undefined ? 'the file' : `the file, at ${issue?.path.join('.') || 'its root'}`;
  return { problem: { place, expected, found: value === undefined ? 'no JSON' : (issue?.message ?? '') }, type: 'Integrity' }; // prettier-ignore
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function chainProblems(sealed: SealedReport): { problems: ReportProblem[]; firstBad?: number } {
  const { events, chain } = sealed;
  const problems: ReportProblem[] = [];
  if (factsHash(sealed) !== chain.facts)
    problems.push({ place: 'what the report says beside its events', expected: `SHA-256 ${chain.facts}`, found: 'something was changed' }); // prettier-ignore
  let before = chain.facts;
  for (const [index, event] of events.entries()) {
    if (eventHash(before, event) !== event.hash) {
      const place = `event ${index + 1} of ${events.length} (${event.at}, ${event.what})`;
      const found = 'another one: it was changed, or what stands before it was removed, added or put elsewhere';
      problems.push({ place, expected: `what was chained to ${index === 0 ? 'the report' : `event ${index}`}`, found });
      return { problems, firstBad: index + 1 };
    }
    before = event.hash;
  }
  if (before === chain.head && events.length === chain.count) return { problems };
  const firstBad = Math.min(events.length, chain.count) + 1;
  const found = events.length < chain.count ? `${events.length}: the end is missing` : events.length > chain.count ? `${events.length}: what comes behind was added` : 'another event at the end'; // prettier-ignore
  problems.push({ place: `event ${firstBad}`, expected: `${chain.count} events up to the head ${chain.head}`, found });
  return { problems, firstBad };
}

function signatureOf(
  chain: Chain,
  keys: VerifyWishes['keys'],
): { signature: ReportVerdict['signature']; problems: ReportProblem[] } {
  if (!keys) return { signature: 'not looked at', problems: [] };
  const trusted = keys.map(({ id }) => id).join(' or ');
  const bad = (signature: ReportVerdict['signature'], found: string): ReturnType<typeof signatureOf> => ({
    signature,
    problems: [{ place: 'the signature of the head', expected: `one by ${trusted}`, found }],
  });
  if (chain.signer === undefined || chain.signature === undefined) return bad('missing', 'none');
  const key = keys.find(({ id }) => id === chain.signer);
  if (!key) return bad('of another key', `one by ${chain.signer}`);
  const signature = Buffer.from(chain.signature, 'base64');
  // Other letters may stand for the same bytes: nothing of the file is anybody's choice.
  const isPlain = signature.toString('base64') === chain.signature;
  const fits = verify(null, signedBytes(chain), createPublicKey(key.publicPem), signature);
  return fits && isPlain
    ? { signature: 'good', problems: [] }
    : bad('wrong', 'one that does not fit: the report was written anew');
}

function headProblems({ head }: Chain, wanted: string | undefined): ReportProblem[] {
  if (wanted === undefined || head === wanted) return [];
  return [{ place: 'the head', expected: wanted, found: head }];
}

/** A page shows the very events of its report when it is the one that was written with it. */
function pageProblems(sealed: SealedReport, files: ReportFiles): ReportProblem[] {
  const { chain } = sealed;
  return (['html', 'markdown'] as const).flatMap((form): ReportProblem[] => {
    const page = files[form];
    const place = form === 'html' ? 'the HTML page' : 'the Markdown page';
    if (page === undefined) return [{ place, expected: 'beside the report', found: 'not there' }];
    if (!page.includes(chain.head)) return [{ place, expected: `the head ${chain.head}`, found: 'it names another one, or none' }]; // prettier-ignore
    if (sha256(page) === chain.pages[form]) return [];
    const rows = form === 'html' ? htmlEvents(sealed) : markdownEvents(sealed);
    const first = firstMissing(page, rows);
    const found = first === undefined ? 'it was changed' : `it was changed: event ${first} is not in its place`;
    return [{ place, expected: `SHA-256 ${chain.pages[form]}`, found }];
  });
}

/** Number of the first row, from 1, that does not stand behind those before it. */
function firstMissing(page: string, rows: readonly string[]): number | undefined {
  let at = 0;
  for (const [index, row] of rows.entries()) {
    const found = page.indexOf(row, at);
    if (found < 0) return index + 1;
    at = found + row.length;
  }
  return undefined;
}
