import type { Report } from '../../workflows/model/report.ts';

/** Of its files, without their endings: when it began, then the run. */
export function reportName({ startedAt, run }: Pick<Report, 'startedAt' | 'run'>): string {
  return `${startedAt.replaceAll(/[-:]|\.\d+/g, '')}-${run.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
}
