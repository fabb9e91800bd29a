import type { BackupFigures, RestoreFigures } from './copies.ts';
import type { Figure, Sample } from './figures.ts';
import { cpuRatioOf, figureOf } from './figures.ts';
import type { BenchOptions } from './options.ts';
import type { ReplayFigures, WalFigures } from './wal.ts';

export interface Measured {
  options: BenchOptions;
  walRuns: number;
  databaseBytes: number;
  small: { scale: number; databaseBytes: number; peakRssBytes: number };
  postgres: string;
  machine: string;
  /** How many times the work of one processor all of them do together. */
  together: number;
  backups: BackupFigures;
  restores: RestoreFigures;
  shipping: WalFigures;
  replays: ReplayFigures;
}

type Row = string[];

const MIB = 2 ** 20;

/** All figures as they are said to a person, and what was wanted beside what was found. */
export function table(measured: Measured): string {
  return [
    rows(['what', 'wall', 'CPU', 'server CPU', 'peak RSS'], copies(measured)),
    goals(measured),
    walTable(measured),
  ]
    .map((part) => align(part))
    .join('\n\n');
}

export interface Ratios {
  scale: number;
  runs: number;
  backupToServerZstd: number;
  backupCpuToServerZstd: number;
  restoreToUntar: number;
  restoreCpuToUntar: number;
  restoreToUntarSynced: number;
  walMBs: number;
  walBacklogMBs: number;
  replayMBs: number;
  replayToCopy: number;
  peakRssMiB: number;
  peakRssSmallMiB: number;
  loopDelayP99Ms: number;
}

export function ratios(measured: Measured): Ratios {
  const { options, backups, restores, shipping, replays, small } = measured;
  const round = (value: number): number => Math.round(value * 1000) / 1000;
  return {
    scale: options.scale,
    runs: options.runs,
    backupToServerZstd: round(backups.ratio.median),
    backupCpuToServerZstd: round(cpuRatioOf(backups.samples.lifeboat, backups.samples.serverZstd)),
    restoreCpuToUntar: round(cpuRatioOf(restores.samples.lifeboat, restores.samples.untar)),
    restoreToUntar: round(restores.ratio.median),
    restoreToUntarSynced: round(restores.ratioSynced.median),
    walMBs: round(shipping.stored.median),
    walBacklogMBs: round(shipping.backlog.median),
    replayMBs: round(replays.lifeboat.median),
    replayToCopy: round(replays.ratio.median),
    peakRssMiB: round(peakRss(measured) / MIB),
    peakRssSmallMiB: round(small.peakRssBytes / MIB),
    loopDelayP99Ms: round(backups.loopDelayP99Ms),
  };
}

/** Of everything that was done to the large database. */
function peakRss({ backups, restores, shipping, replays }: Measured): number {
  const of = (samples: Sample[]): number[] => samples.map((sample) => sample.peakRssBytes);
  return Math.max(
    ...of(backups.samples.lifeboat),
    ...of(restores.samples.lifeboat),
    shipping.peakRssBytes,
    replays.peakRssBytes,
  );
}

function copies({ backups, restores }: Measured): Row[] {
  return [
    sampleRow('full backup, lifeboat', backups.samples.lifeboat),
    sampleRow('pg_basebackup --compress=server-zstd:level=3', backups.samples.serverZstd),
    sampleRow('pg_basebackup, plain', backups.samples.plain),
    sampleRow('restore, lifeboat, fetch to opened', restores.samples.lifeboat),
    ['  of which fetched and on the disk', seconds(restores.fetchMs), '', '', ''],
    sampleRow('zstd -d | tar -x', restores.samples.untar),
    sampleRow('zstd -d | tar -x; sync', restores.samples.untarSynced),
  ];
}

function sampleRow(name: string, samples: Sample[]): Row {
  const wall = figureOf(samples.map((sample) => sample.wallMs));
  const server = samples.flatMap((sample) => sample.serverCpuSeconds ?? []);
  const memory = Math.max(...samples.map((sample) => sample.peakRssBytes));
  return [
    name,
    seconds(wall),
    `${figureOf(samples.map((sample) => sample.cpuSeconds)).median.toFixed(2)} s`,
    server.length === 0 ? '' : `${figureOf(server).median.toFixed(2)} s`,
    mebibytes(memory),
  ];
}

function goals(measured: Measured): Row[] {
  const found = ratios(measured);
  const said = (met: boolean): string => (met ? 'yes' : 'no');
  const { backups, restores, shipping, small } = measured;
  return rows(
    ['goal', 'wanted', 'found', 'met'],
    [
      ['backup to pg_basebackup server-zstd', '<= 1.0', spread(backups.ratio), said(found.backupToServerZstd <= 1)],
      ['  all CPU of both, ours to theirs', '', found.backupCpuToServerZstd.toFixed(2), ''],
      ['restore to zstd -d and tar -x', '<= 1.5', spread(restores.ratio), said(found.restoreToUntar <= 1.5)],
      ['  the same, both on the disk', '', spread(restores.ratioSynced), said(found.restoreToUntarSynced <= 1.5)],
      ['  all CPU of both, ours to theirs', '', found.restoreCpuToUntar.toFixed(2), ''],
      ['WAL under full write load', '>= 80 MB/s', rate(shipping.stored), said(found.walMBs >= 80)],
      ['peak RSS', '<= 512 MiB', `${found.peakRssMiB.toFixed(0)} MiB`, said(found.peakRssMiB <= 512)],
      [
        `  backup at scale ${small.scale}`,
        '<= 512 MiB',
        `${found.peakRssSmallMiB.toFixed(0)} MiB`,
        said(found.peakRssSmallMiB <= 512),
      ],
      [
        'event loop delay during a backup, p99',
        '<= 50 ms',
        `${found.loopDelayP99Ms.toFixed(1)} ms (longest ${backups.loopDelayMaxMs.toFixed(0)} ms)`,
        said(found.loopDelayP99Ms <= 50),
      ],
    ],
  );
}

function walTable({ shipping, replays }: Measured): Row[] {
  return rows(
    ['WAL', 'found'],
    [
      ['written by the load', rate(shipping.written)],
      ['stored meanwhile', rate(shipping.stored)],
      ['behind when the load ended', `${shipping.lagSeconds.median.toFixed(2)} s of WAL`],
      ['backlog streamed and stored', rate(shipping.backlog)],
      ['CPU of that', `${shipping.cpuSecondsPerGb.median.toFixed(2)} s a GB`],
      ['replay from the vault, server start to opened', rate(replays.lifeboat)],
      ['replay with restore_command = cp', rate(replays.cp)],
      ['ratio of the two', spread(replays.ratio)],
    ],
  );
}

function rows(head: Row, body: Row[]): Row[] {
  return [head, head.map(() => '---'), ...body];
}

function align(table: Row[]): string {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number): string =>
    text === '---' ? '-'.repeat(widths[column] ?? 3) : text.padEnd(widths[column] ?? 0);
  return table.map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
}

function seconds({ median, least, most }: Figure): string {
  return `${(median / 1000).toFixed(2)} s (${(least / 1000).toFixed(2)} to ${(most / 1000).toFixed(2)})`;
}

function spread({ median, least, most }: Figure): string {
  return `${median.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`;
}

function rate({ median, least, most }: Figure): string {
  return `${median.toFixed(0)} MB/s (${least.toFixed(0)} to ${most.toFixed(0)})`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}

/** docs/benchmarks.md, whole. */
export function markdown(measured: Measured): string {
  const { options, walRuns, databaseBytes, small, backups, replays } = measured;
  return `# Benchmarks

Written by \`npm run bench -- --scale ${options.scale} --runs ${options.runs}\`; run it on the machine that matters to you. Medians, with the
least and the most in brackets; ratios are taken run by run, because what slows the machine slows both.
[benchmarks-rivals.md](benchmarks-rivals.md) has the same, local mode and incremental backups among it, beside pgBackRest and WAL-G.

| | |
|---|---|
| machine | ${measured.machine} |
| its processors together | ${measured.together.toFixed(2)} times the work of one of them (zstd -3 of the same bytes, by one process and by one for each) |
| programs | ${measured.postgres}, Node.js ${process.versions.node}, zstd of both |
| database | pgbench at scale ${options.scale}, ${mebibytes(databaseBytes)}, page checksums on, in the page cache |
| stored by lifeboat | ${mebibytes(backups.storedBytes)} of ${mebibytes(backups.bytes)}: zstd 3, AES-256-GCM, in parts of 16 MiB, to the filesystem store, with fsync |
| runs | ${options.runs} of each in turn, ${walRuns} of those with WAL |
| WAL replayed | ${mebibytes(replays.walBytes)} |

${table(measured)}

## What is measured

- **full backup**: from the first question to the published, signed manifest, in a process of its own that is warm as a worker is
  (modules loaded, codec threads started), with \`files.read: stream\`: the server sends the files, as it does to \`pg_basebackup\`. That runs with \`-X none --checkpoint=fast\`, tar compressed by the server or
  plain files. "CPU" is what the work took there, "server CPU" what the database server spent on it, memory the whole process's.
  The server compresses with one processor while the others rest; lifeboat moves the whole stream to the worker, compresses,
  encrypts, hashes and compares it there, which is more work ("all CPU of both") on all of them: how it comes out depends on
  how many there are, and what they do together.
- **restore**: from an empty place to a promoted server that takes sessions, fetch with decryption and checksums of every file included, and
  the few bytes of WAL that make the base consistent; beside \`zstd -d | tar -x\` of what pg_basebackup wrote, without and with
  a sync to the disk, which ours always does.
- **WAL under full write load**: ${4} sessions insert rows as fast as the server takes them, on the same processors. "Stored" is what the
  server was told to be durable; "backlog" is WAL that waited at the server.
- **replay**: all WAL since the base, from the start of the server until it is open: from the vault and, on a server of the same settings, by \`cp\` from a local folder.
- **event loop delay**: \`perf_hooks.monitorEventLoopDelay\` at 1 ms, which counts that millisecond too.
- the server runs with \`fsync = off\` and ${'`shared_buffers = 1GB`'}; scale ${small.scale} is ${mebibytes(small.databaseBytes)}.
`;
}
