import type { StoredReport } from '../workflows/model/recovery.ts';

/** Where the report of a run is, for `pairLines`; nothing when it has none. */
export function reportPairs(report: StoredReport | undefined, name = 'report'): [string, string | undefined][] {
  if (!report) return [];
  const { file, host, head, postMortem } = report;
  return [
    [`  ${name}`, `${file} on host ${host}`],
    ['    head of its chain', head],
    ['    post-mortem', postMortem && `${postMortem}, for you to write in`],
  ];
}
