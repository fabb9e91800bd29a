import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { failure, isFailure } from '../workflows/model/failure.ts';
import { translateFileError } from './io/file-failure.ts';
import type { ReportVerdict, VerifyWishes } from './report/index.ts';
import { verifyReport } from './report/index.ts';

/** Of one report: its file, and what became of it. */
export interface VerifiedReport extends ReportVerdict {
  file: string;
}

/** The files of a report differ by these; what people write on in is none of them. */
const PAGE = /\.(?:html|md)$/;
const POST_MORTEM = /-post-mortem\.md$/;
/** Reports are named so: when they began, then the run. */
const NAMED = /^\d{8}T\d{6}Z-/;

/**
 * Verifies one report, named by any of its files, or all of a folder; no server is asked. NotFound when there is none. A page whose
 * report is gone is a report that is not verified.
 */
export async function verifyReports(path: string, wishes: VerifyWishes): Promise<VerifiedReport[]> {
  const isFolder = (await translateFileError(path, () => stat(path))).isDirectory();
  const files = isFolder ? await reportsIn(path) : [path.replace(PAGE, '.json')];
  if (files.length === 0 || POST_MORTEM.test(path)) throw noReport(path);
  const verified: VerifiedReport[] = [];
  for (const file of files) verified.push(await verifyOne(file, wishes));
  return verified;
}

/** Their JSON files, also of one that is missing. */
async function reportsIn(folder: string): Promise<string[]> {
  const names = await translateFileError(folder, () => readdir(folder));
  const reports = names.filter(
    (name) => NAMED.test(name) && !POST_MORTEM.test(name) && /\.(?:json|html|md)$/.test(name),
  );
  return [...new Set(reports.map((name) => join(folder, name.replace(PAGE, '.json'))))].sort();
}

async function verifyOne(file: string, wishes: VerifyWishes): Promise<VerifiedReport> {
  const read = (name: string): Promise<string | undefined> =>
    translateFileError(name, () => readFile(name, 'utf8')).catch((error: unknown) => {
      if (isFailure(error, 'NotFound')) return undefined;
      throw error;
    });
  const base = file.replace(/\.json$/, '');
  const [json, html, markdown] = await Promise.all([read(file), read(`${base}.html`), read(`${base}.md`)]);
  if (json !== undefined) return underItsName(file, verifyReport({ json, html, markdown }, wishes));
  const problem = { place: basename(file), expected: 'the report of the pages beside it', found: 'not there' };
  return { file, ok: false, signature: 'not looked at', problems: [problem], type: 'Integrity' };
}

/** A good report of another run, filed as that of this one, is none of it. */
function underItsName(file: string, verdict: ReportVerdict): VerifiedReport {
  const name = basename(file, '.json');
  if (verdict.name === undefined || verdict.name === name || !NAMED.test(name)) return { file, ...verdict };
  const problem = { place: basename(file), expected: `the report ${name}`, found: `that of ${verdict.name}` };
  return { file, ...verdict, ok: false, problems: [...verdict.problems, problem], type: 'Integrity' };
}

function noReport(path: string): Error {
  return failure('NotFound', `there is no report at ${path}`, {
    place: path,
    expected: 'the .json, .html or .md file of a report, or a folder of them',
    found: 'none',
    hint: 'reports stand below reports/ in the scratch folder of the host that wrote them',
  });
}
