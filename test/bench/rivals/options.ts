import { parseArgs } from 'node:util';

export const ROWS = [
  'full',
  'restore',
  'delta',
  'incremental',
  'ship',
  'replay',
  'verify',
  'small',
  'huge',
  'many',
] as const;
export type RowName = (typeof ROWS)[number];

export const PLACES = ['folder', 's3'] as const;
export type PlaceKind = (typeof PLACES)[number];

export interface RivalOptions {
  /** pgbench scale; about 15 MB each. */
  scale: number;
  runs: number;
  rows: readonly RowName[];
  places: readonly PlaceKind[];
  json: boolean;
  /** Where the page is written; undefined: not at all. */
  report: string | undefined;
  /** WAL of one run of shipping, and to replay, bytes. */
  walBytes: number;
  smallRelations: number;
  /** Of the relation that a sender makes up, bytes. */
  hugeBytes: number;
}

/** Where the figures stand that everything else is read beside. */
export const PAGE = 'docs/benchmarks-rivals.md';
const BYTES_PER_SCALE = 16 << 20;
const LEAST_WAL_BYTES = 256 << 20;
const MOST_WAL_BYTES = 2 ** 31;
const SMALL_PER_SCALE = 500;
const MOST_SMALL = 100_000;
/** A terabyte takes half an hour: at the usual scale it is a sixteenth of it. */
const HUGE_PER_SCALE = 320 << 20;
const MOST_HUGE_BYTES = 2 ** 40;

export const USAGE = `usage: npm run bench -- rivals [--scale N] [--runs N] [--only ROW,ROW] [--store folder,s3] [--page FILE] [--json] [--no-report]

Measures lifeboat beside pgBackRest and WAL-G on the same cluster (pgbench at --scale, default 200), --runs times each in
turn (default 5), and writes ${PAGE}, or --page. Rows: ${ROWS.join(', ')}. Stores: a local folder
(default) and an S3 server on this machine. --json prints one object as the last line. WAL-G is the program WALG names,
else wal-g on PATH.`;

const ACCEPTED = {
  scale: { type: 'string', default: '200' },
  runs: { type: 'string', default: '5' },
  only: { type: 'string', default: ROWS.join(',') },
  store: { type: 'string', default: 'folder' },
  page: { type: 'string', default: PAGE },
  json: { type: 'boolean', default: false },
  'no-report': { type: 'boolean', default: false },
} as const;

/** Wrong words on the command line, in one sentence. */
export class WrongOptions extends Error {}

export function readRivalOptions(args: string[]): RivalOptions {
  const { values, tokens, positionals } = parseArgs({
    args,
    options: ACCEPTED,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (!(token.name in ACCEPTED)) throw new WrongOptions(`${token.rawName} is no option of bench rivals`);
    const wantsValue = ACCEPTED[token.name as keyof typeof ACCEPTED].type === 'string';
    if (wantsValue && (!token.value || token.value.startsWith('--')))
      throw new WrongOptions(`${token.rawName} needs a value`);
    if (!wantsValue && token.value !== undefined) throw new WrongOptions(`${token.rawName} takes no value`);
  }
  if (positionals.length > 0) throw new WrongOptions(`${positionals[0]} is no option of bench rivals`);
  const scale = count('--scale', values['scale'], 5000);
  return {
    scale,
    runs: count('--runs', values['runs'], 100),
    rows: chosen('--only', values['only'], ROWS),
    places: chosen('--store', values['store'], PLACES),
    json: values['json'] === true,
    report: values['no-report'] === true ? undefined : String(values['page']),
    walBytes: Math.min(MOST_WAL_BYTES, Math.max(LEAST_WAL_BYTES, scale * BYTES_PER_SCALE)),
    smallRelations: Math.min(MOST_SMALL, scale * SMALL_PER_SCALE),
    hugeBytes: Math.min(MOST_HUGE_BYTES, scale * HUGE_PER_SCALE),
  };
}

function count(name: string, text: unknown, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new WrongOptions(`${name} is ${String(text)}; expected a whole number from 1 to ${most}`);
}

/** In the order of `all`, whatever order they were named in. */
function chosen<Name extends string>(name: string, text: unknown, all: readonly Name[]): Name[] {
  const words = String(text).split(',');
  const wrong = words.find((word) => !(all as readonly string[]).includes(word));
  if (wrong !== undefined) throw new WrongOptions(`${name} names ${wrong || 'nothing'}; expected ${all.join(', ')}`);
  return all.filter((each) => words.includes(each));
}
