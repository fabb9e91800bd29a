import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { fill, withCluster, WriteLoad, writeWal } from './cluster.ts';
import { backup, compareBackups, compareRestores, tarFolder } from './copies.ts';
import type { Measured } from './report.ts';
import { markdown, ratios, table } from './report.ts';
import type { BenchOptions } from './options.ts';
import { readOptions, USAGE } from './options.ts';
import { compareReplays, measureShipping, shipAll, shipBacklog } from './wal.ts';
import { describeMachine, workTogether } from './measured.ts';
import { benchRivals } from './rivals/main.ts';
import { benchFailover } from './failover/main.ts';
import { USAGE as FAILOVER_USAGE } from './failover/options.ts';

/** WAL runs write gigabytes each: fewer of them. */
const MOST_WAL_RUNS = 3;

async function bench(options: BenchOptions): Promise<Measured> {
  const { scale, runs, walBytes } = options;
  const walRuns = Math.min(runs, MOST_WAL_RUNS);
  return withCluster(async (cluster) => {
    const [version] = await cluster.server.sql('select version() as text');
    const smallScale = Math.max(1, Math.round(scale / 4));
    say(`filling pgbench at scale ${smallScale}`);
    const smallFill = await fill(cluster, smallScale);
    const smallBackup = await backup(cluster, 'small');
    say(`filling pgbench at scale ${scale}`);
    const { databaseBytes } = await fill(cluster, scale);
    say('backup');
    await shipAll(cluster);
    const backups = await compareBackups(cluster, runs);
    await shipAll(cluster);
    const together = await workTogether(join(tarFolder(cluster), 'base.tar.zst'), cluster.dir);
    say('restore');
    const restores = await compareRestores(cluster, runs);
    say('replay');
    await WriteLoad.prepare(cluster.server);
    await shipBacklog(cluster, await writeWal(cluster.server, walBytes));
    const replays = await compareReplays(cluster, walRuns);
    say('WAL');
    const shipping = await measureShipping(cluster, { runs: walRuns, bytes: walBytes });
    return {
      options,
      walRuns,
      databaseBytes,
      small: { scale: smallScale, databaseBytes: smallFill.databaseBytes, peakRssBytes: smallBackup.peakRssBytes },
      postgres: String(version?.['text']).split(' ').slice(0, 2).join(' '),
      machine: await describeMachine(cluster.dir),
      together,
      ...{ backups, restores, shipping, replays },
    };
  });
}

function say(what: string): void {
  console.error(`bench: ${what}`);
}

async function main(args: string[]): Promise<void> {
  if (args[0] === 'rivals') {
    process.exitCode = await benchRivals(args.slice(1));
    return;
  }
  if (args[0] === 'failover') {
    process.exit(await benchFailover(args.slice(1)).catch(refusedOptions));
  }
  const options = readOptions(args);
  const [load = 0] = loadavg();
  if (load > availableParallelism() / 2)
    say(`this machine is busy (load ${load.toFixed(1)}): wall times tell of the others too`);
  const measured = await bench(options);
  console.log(table(measured));
  if (options.report !== undefined) await writeFile(options.report, markdown(measured));
  if (options.json) console.log(JSON.stringify(ratios(measured)));
}

/** A connection to a server that is gone would keep this process: it is ended. */
function refusedOptions(error: unknown): number {
  const isOption =
    error instanceof Error &&
    (error.message.startsWith('--') || ('code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')));
  console.error(isOption ? `bench: ${error.message}\n\n${FAILOVER_USAGE}` : error);
  return isOption ? 2 : 1;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error && error.message.startsWith('--') ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = 1;
});
