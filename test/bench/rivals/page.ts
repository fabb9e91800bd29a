import { basename } from 'node:path';
import type { PlaceKind } from './options.ts';
import { PAGE, ROWS } from './options.ts';
import { ratiosOf } from './ratios.ts';
import type { Outcome } from './report.ts';
import { mebibytes, tables } from './report.ts';

const PLACE_NAMES: Readonly<Record<PlaceKind, string>> = {
  folder: 'To a local folder',
  s3: 'To an S3 server on the same machine (versitygw, TLS)',
};
/** What the goals are for. */
const WANTED = { scale: 200, runs: 5 };

const GOALS = {
  full: ['full backup, local mode', 0.7],
  fullAgentless: ['full backup, agentless', 0.85],
  incremental: ['incremental, 1 % of rows changed', 0.7],
  restore: ['restore of a full backup, files on the disk', 0.8],
  delta: ['restore in place, 5 % differs', 0.8],
  replay: ['recovery, replay to opened', 0.9],
  stored: ['bytes stored by a full backup', 1.0],
  rss: ["peak RSS of a full backup, to WAL-G's", 1.0],
} as const;

/** The goals beside what was found on the first kind of store. */
export function goals({ results }: Outcome): string {
  const { ratios, lagP99Ms } = ratiosOf(results[0]?.lines ?? []);
  const said = (found: number | null, most: number): string => (found === null ? '' : found <= most ? 'yes' : 'no');
  const rows = Object.entries(GOALS).map(([key, [name, most]]) => {
    const found = ratios[key as keyof typeof GOALS];
    return `| ${name} | <= ${most.toFixed(2)} | ${found?.toFixed(2) ?? 'not measured, the table says why'} | ${said(found, most)} |`;
  });
  if (lagP99Ms === null && Object.values(ratios).every((ratio) => ratio === null)) return '';
  const lag = lagP99Ms === null ? 'not measured' : `${lagP99Ms.toFixed(0)} ms`;
  return [
    '| lifeboat to the best rival, by medians | wanted | found | met |',
    '| --- | --- | --- | --- |',
    ...rows,
    `| lag to durable under full write load, p99 | <= 1000 ms | ${lag} | ${said(lagP99Ms, 1000)} |`,
  ].join('\n');
}

/** A page, whole; how it is measured stands on the first one. */
export function page(outcome: Outcome): string {
  const { options, results, failures, absent } = outcome;
  const isFirst = options.report === undefined || options.report === PAGE;
  const only = options.rows.length < ROWS.length ? ` --only ${options.rows.join(',')}` : '';
  const trial = options.scale < WANTED.scale || options.runs < WANTED.runs;
  const command = `npm run bench -- rivals --scale ${options.scale} --runs ${options.runs} --store ${options.places.join(',')}${only}`;
  return `# Benchmarks beside pgBackRest and WAL-G

Written by \`${command}\`; run it on the machine that matters to you. Medians, with the least and the most in brackets.
${trial ? `\n**A trial**: so small a database, or so few runs, show that everything works and nothing else. Figures that count have \`--scale ${WANTED.scale} --runs ${WANTED.runs}\`, on a machine that does nothing else.\n` : ''}
| | |
| --- | --- |
| machine | ${outcome.machine} |
| server | ${outcome.postgres}, page checksums on, \`fsync = off\`, \`shared_buffers = 1GB\`, \`summarize_wal = on\`, files in the page cache |
| database | pgbench at scale ${options.scale}, ${mebibytes(outcome.databaseBytes)} |
| runs | ${options.runs} of each, everyone in turn |

${goals(outcome)}

${results.map((result) => `## ${PLACE_NAMES[result.kind]}\n\n${tables(outcome, result)}`).join('\n\n')}
${absent.length + failures.length === 0 ? '' : `\n## Without figures\n\n${[...absent.map(({ name, reason }) => `- ${name}: ${reason}`), ...failures.map((text) => `- ${text.replaceAll('\n', ' ')}`)].join('\n')}\n`}
## Versions, commands and settings

${outcome.contestants.map(({ name, program, settings }) => `- **${name}** (${program})\n${settings.map((line) => `  - ${line}`).join('\n')}`).join('\n')}

${
  isFirst
    ? `${METHOD}
${BUILD}`
    : `What is measured, and what bounds it: [${basename(PAGE)}](${basename(PAGE)}).
`
}`;
}

const METHOD = `## What is measured

- Everyone backs up the same cluster from the same machine, compresses with zstd at its level 3, encrypts all it stores (pgBackRest
  AES-256-CBC, WAL-G libsodium secretstream, lifeboat AES-256-GCM with a signed manifest), and stores to a folder or bucket of its own. WAL-G's level has a name,
  \`default\`. That WAL-G really encrypts is looked at in what it stored. lifeboat's level 3 has a window of 512 KiB instead of 2 MiB,
  tables to match, and matches of six bytes at least; what is stored is in the table.
- lifeboat reaches the server by its Unix socket, as everyone is on its host: agentless, a sixth less CPU than by TCP.
- **wall** is the command's, from start to end; lifeboat's work runs in a process that is there before, as a worker is, with its modules loaded.
- **CPU** is the tool's, with all its processes; **server CPU** what the database server spent on it: sessions, walsender, archiver, the replay itself.
  Processes that a tool leaves running by themselves are looked at twenty times a second, so that the end of each is missed.
- **peak RSS** is the sum over the processes that live at once; **stored** what the folder or bucket grew by; **read** what the
  processes read, of files and connections, in and out of the page cache: the database's bytes, and the store's where a tool reads it.
- **incremental**: rows change a thousand neighbours at a time, all over the table. Everyone's chain goes on from run to run.
- **restore**: to files that are on the disk, and on to a server that is open for writes, with the WAL that makes the backup consistent fetched
  from the store. **In place**: one stretch of 128 KiB of twenty was overwritten; that none is left is looked at. What is there is in the page cache
  before, whoever restored it: lifeboat writes past it, and would have to read from the disk what others find in memory.
- **WAL under full write load**: 4 sessions insert as fast as the server takes it, on the same processors. Stored counts until all of it was durable. Lag is the
  time from when a position was on the server's disk until the server was told that it is durable elsewhere: for lifeboat by the stream, for the others when
  \`archive_command\` has succeeded for the segment that holds it; their last segment is ended by hand, where a server would wait for \`archive_timeout\`.
  \`archive_mode\` is on here alone: elsewhere \`pg_backup_stop\` would wait for an archiver, up to a second at a time, in the tools that let it.
- **recovery**: from the start of the server on restored files to open for writes, after all WAL since the backup, prefetched as each tool does it.
- **made up**: a sender that reads no database gives files to the packer, the codec and the vault as they are, and the store keeps none of it: one relation of which
  every sixteenth page holds something, and a million files of 120 bytes, with what a restore asks of their list. Memory after a quarter is to be that at the end; with
  many files it grows with their list alone. **stored** and **read** are what would have been.
- Before each run what the one before left to write is written (\`sync\`), the order turns from run to run, and nothing is taken out of the page cache.
- What differs and is not evened out: pgBackRest and lifeboat verify the pages' checksums while they copy, WAL-G does not unless asked; lifeboat's restore includes the check of
  every file against the manifest. \`verify\` of pgBackRest compares what is stored with sums of what was stored; lifeboat's decrypts and unpacks all and compares it with the
  manifest's sums of the database's files, so that it also sees what went wrong before it was stored.
`;

const BUILD = `## What bounds what is not reached

By profiles of a backup and a restore of 3 GiB of pgbench (perf, all threads; shares of the CPU time), which are to be read beside the table above:

- **full backup, local mode**: more than half is zstd at the level that everyone has here, some 0.8 s a GiB of these files; reading out of the page cache is an eighth, CRC-32C
  a twelfth, page checksums a twentieth. Both processors work 92 % of the time, so that only less work would make it faster. Compressing a part in one pass instead of by
  chunks took a quarter off zstd's time on text, and 5 % on these files.
- **full backup, agentless**: the walsender's share comes on top (1.4 s), and receiving, summing and copying on one thread (1.9 s), where who reads the files has 0.4 s. To be
  ahead of those would take a protocol that does not bring every byte through a socket.
- **restore**: what is left is zstd, and waiting for the disk, past the page cache. **In place**: every part has a difference here, so that each is fetched and decoded.
- **incremental, nothing changed**: a quarter of a second waiting for the checkpoint and for objects made durable one after the other.
- **replay**: the server's own work is two thirds of it for everyone.
- **memory**: five parts of 16 MiB, of which four are under way, and an isolate for each of three threads beside the main one: a third of a GiB, which does not grow
  with the database (\`--only huge\`). An empty Node.js has 80 to 90 MiB. A rival without a runtime of this kind needs less; \`backup.partSize\` and \`backup.parallel\` are the settings
  that make it less here.

## How to get the rivals

- **pgBackRest** is unpacked from Debian's newest suite, outside of the system and the repository, by the benchmark itself
  (\`npm run setup -- pgbackrest\`); Debian or Ubuntu with network is all it needs.
- **WAL-G** is the program that \`WALG\` names, else \`wal-g\` on \`PATH\`. No package registry has a current one. With Go 1.26 and libsodium's headers
  (Debian: \`apt-get install libsodium-dev\`):

  \`\`\`sh
  git clone --branch v3.0.9 --depth 1 https://github.com/wal-g/wal-g && cd wal-g/main/pg
  GOEXPERIMENT=jsonv2 go build -tags libsodium -ldflags "-X github.com/wal-g/wal-g/cmd/pg.walgVersion=v3.0.9" -o wal-g
  WALG=$PWD/wal-g npm run bench -- rivals
  \`\`\`

  Where the module of the Yandex Cloud KMS (\`go-sdk/services/kms\`) cannot be had, leave that KMS out: an empty package in place of \`internal/crypto/yckms\`
  and \`internal/crypto/envelope/enveloper/yckms\`. Without \`-tags libsodium\` it cannot encrypt as it does here; that what it stores is encrypted is looked at.
- A rival that is missing is named in the tables; the others are measured.
`;
