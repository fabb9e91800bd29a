import { parseArgs } from 'node:util';

export interface FailoverBenchOptions {
  /** Of each thing that is measured. */
  runs: number;
  json: boolean;
  /** Where the page is written; undefined: not at all. */
  page: string | undefined;
}

export const PAGE = 'docs/benchmarks-failover.md';
/** What the goals are for. */
export const WANTED_RUNS = 20;

export const USAGE = `usage: npm run bench -- failover [--runs N] [--page FILE] [--json] [--no-report]

Two servers under write load change places, and lose their primary, --runs times each (default ${WANTED_RUNS}): by lifeboat and by the bare
steps, in turn. Writes ${PAGE}, or --page. --json prints one object as the last line.`;

const ACCEPTED = {
  runs: { type: 'string', default: String(WANTED_RUNS) },
  page: { type: 'string', default: PAGE },
  json: { type: 'boolean', default: false },
  'no-report': { type: 'boolean', default: false },
} as const;

const MOST_RUNS = 100;

/** Throws what is wrong with the arguments. */
export function readFailoverOptions(args: string[]): FailoverBenchOptions {
  const { values } = parseArgs({ args, options: ACCEPTED });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS)
    throw new Error(`--runs is ${values.runs}; expected a whole number from 1 to ${MOST_RUNS}`);
  return { runs, json: values.json, page: values['no-report'] ? undefined : values.page };
}
