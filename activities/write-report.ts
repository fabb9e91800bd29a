import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { findFailure } from '../workflows/model/failure.ts';
import type { CopyReach } from '../workflows/model/reachable-map.ts';
import type { Report } from '../workflows/model/report.ts';
import type { StoredReport } from '../workflows/model/recovery.ts';
import type { Deps } from './deps.ts';
import { writeAtomically } from './io/atomic-file.ts';
import { readReach } from './reachable.ts';
import { keepMeasurement } from './measurements.ts';
import { renderHtml } from './report/index.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Writes a report as a page: encrypted into the vault, and in the clear on this host for whoever reads it now. */
export function writeReport(deps: Deps, report: Report): Promise<StoredReport> {
  return useSource(deps, report.source, async (use) => {
    const { vault, session, run } = use;
    const name = `${report.startedAt.replaceAll(/[-:]|\.\d+/g, '')}-${report.run.replaceAll(/[^A-Za-z0-9]+/g, '-')}.html`;
    const page = Buffer.from(renderHtml(report, await reachNow(use)));
    const { key } = await vault.putReport(name, page);
    const folder = join(session.recovery.scratch, 'reports');
    await mkdir(folder, { recursive: true });
    const file = join(folder, name);
    await writeAtomically({ path: file, staging: folder }, Readable.from([page]));
    // The page is what somebody waits for; the next recovery is measured again.
    await keepMeasurement(vault, report).catch((error: unknown) => {
      if (run.signal.aborted) throw error;
      run.log.warn('what the recovery took could not be kept', { error: findFailure(error)?.message ?? String(error) });
    });
    return { key, file, host: deps.host };
  });
}

/** A part of the page that a vault in trouble cannot keep from being written. */
async function reachNow(use: SourceUse): Promise<CopyReach[]> {
  try {
    return await readReach(use);
  } catch (error) {
    if (use.run.signal.aborted) throw error;
    use.run.log.warn('the report lacks what is reachable', { error: findFailure(error)?.message ?? String(error) });
    return [];
  }
}
