import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** pgbench scale of the main database; about 15 MB each. */
  scale: number;
  /** Of each measured thing; figures are medians of them. */
  runs: number;
  /** Print one JSON object as the last line. */
  json: boolean;
  /** Where the report is written; undefined: not at all. */
  report: string | undefined;
  /** WAL to stream and to replay, bytes. */
  walBytes: number;
}

const BYTES_PER_SCALE = 16 << 20;
const LEAST_WAL_BYTES = 256 << 20;
const MOST_WAL_BYTES = 2 ** 31;

export const USAGE = `usage: npm run bench -- [--scale N] [--runs N] [--json] [--no-report]
       npm run bench -- rivals [...]    beside pgBackRest and WAL-G
       npm run bench -- failover [...]  switchover and failover beside their bare steps

Measures backup, restore, WAL streaming and replay beside PostgreSQL's own tools, on a pgbench database of --scale
(default 100), --runs times each in turn (default 5), and writes docs/benchmarks.md. --json prints one object as the
last line.`;

/** Throws what is wrong with the arguments. */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      scale: { type: 'string', default: '100' },
      runs: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      'no-report': { type: 'boolean', default: false },
    },
  });
  const scale = count('--scale', values.scale, 5000);
  const walBytes = Math.min(MOST_WAL_BYTES, Math.max(LEAST_WAL_BYTES, scale * BYTES_PER_SCALE));
  const report = values['no-report'] ? undefined : 'docs/benchmarks.md';
  return { scale, runs: count('--runs', values.runs, 100), json: values.json, report, walBytes };
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${name} is ${text}; expected a whole number from 1 to ${most}`);
}
