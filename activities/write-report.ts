import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { findFailure } from '../workflows/model/failure.ts';
import type { Report } from '../workflows/model/report.ts';
import type { StoredReport } from '../workflows/model/recovery.ts';
import type { Deps } from './deps.ts';
import { writeAtomically } from './io/atomic-file.ts';
import { readReach } from './reachable.ts';
import { keepFailoverDrill } from './failover-drills.ts';
import { keepMeasurement } from './measurements.ts';
import type { WrittenReport } from './report/index.ts';
import { reportName, writeForms } from './report/index.ts';
import { keepSteps, stepsBefore } from './step-history.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Writes a report in all its forms: encrypted into the vault, and in the clear on this host for whoever reads it now. */
export function writeReport(deps: Deps, report: Report): Promise<StoredReport> {
  return useSource(deps, report.source, async (use) => {
    const { vault, run } = use;
    const name = reportName(report);
    const { signing } = await deps.loadKeys();
    const forms = writeForms(await completed(deps, use, report), signing);
    const stored = await store(use, { name, forms });
    // The pages are what somebody waits for; the next run is measured again.
    for (const keep of [keepMeasurement, keepSteps]) {
      await keep(vault, report).catch((error: unknown) => {
        if (run.signal.aborted) throw error;
        run.log.warn('what it took could not be kept', { error: findFailure(error)?.message ?? String(error) });
      });
    }
    // No other run says when a failover was drilled.
    if (report.failoverDrill) await keepFailoverDrill(vault, report.failoverDrill);
    return { ...stored, host: deps.host, head: forms.head };
  });
}

/** With what only the one who writes knows. */
async function completed(deps: Deps, use: SourceUse, report: Report): Promise<Report> {
  const reach = await orNothing(use, 'what is reachable', () => readReach(use));
  const steps = await orNothing(use, 'how long its steps take', () => stepsBefore(use.vault, report));
  return {
    ...report,
    ...(steps && steps.length > 0 ? { steps } : {}),
    ...(reach && reach.length > 0 ? { reach } : {}),
    ...{ tool: deps.tool, host: deps.host },
  };
}

/** A part of the report that a vault in trouble cannot keep from being written. */
async function orNothing<T>({ run }: SourceUse, what: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.log.warn(`the report lacks ${what}`, { error: findFailure(error)?.message ?? String(error) });
    return undefined;
  }
}

interface Storing {
  name: string;
  forms: WrittenReport;
}

/** The JSON last: without it the pages are those of an attempt that did not come to its end. */
async function store(
  { vault, session }: SourceUse,
  { name, forms }: Storing,
): Promise<Pick<StoredReport, 'key' | 'file' | 'postMortem'>> {
  const folder = join(session.recovery.scratch, 'reports');
  await mkdir(folder, { recursive: true });
  const write = async (ending: string, text: string, ifAbsent = false): Promise<string> => {
    const path = join(folder, `${name}${ending}`);
    await writeAtomically({ path, staging: folder, ifAbsent }, Readable.from([Buffer.from(text)]));
    return path;
  };
  const { html, markdown, json, postMortem } = forms;
  const { key } = await vault.putReport(`${name}.html`, Buffer.from(html));
  await vault.putReport(`${name}.md`, Buffer.from(markdown));
  await vault.putReport(`${name}.json`, Buffer.from(json));
  const file = await write('.html', html);
  await write('.md', markdown);
  await write('.json', json);
  if (postMortem === undefined) return { key, file };
  // Somebody may have begun to write in it when this is a repeat.
  return { key, file, postMortem: await write('-post-mortem.md', postMortem, true) };
}
