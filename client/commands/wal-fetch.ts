import { resolve } from 'node:path';
import type { Command } from 'commander';
import { parseDuration } from '../../workflows/model/units.ts';
import { NOT_STORED } from '../exit-codes.ts';
import { failureLines, reportOf } from '../failure-report.ts';
import { given } from '../run-options.ts';
import { knownSource } from '../sources.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .argument('<file>', '%f: name of a WAL segment or of a timeline history')
    .argument('<path>', '%p: where the server wants it')
    .option(
      '--standby',
      'for a server with standby.signal: what could not be asked now is asked again, and ends with 1',
    )
    .option('--wait <duration>', 'how long a store that is away is asked again (default: 1m; 0s with --standby)')
    .option('--keep-inside', 'tablespaces that the WAL makes are made in the data directory')
    .option(
      '--agent <socket>',
      'ask a worker of this host first, at its wal.fetchSocket; without an answer of it as ever',
    )
    .option('--system <id>', 'system identifier, outside of a data directory; for histories only');
  addExamples(command, [
    [
      'lifeboat wal-fetch shop 000000010000000000000007 pg_wal/RECOVERYXLOG',
      "as a server calls it: restore_command = '/usr/local/bin/lifeboat wal-fetch shop %f %p --config /etc/lifeboat/lifeboat.yml'",
    ],
    [
      'lifeboat wal-fetch shop 000000010000000000000007 pg_wal/RECOVERYXLOG --agent /run/lifeboat/shop-fetch.sock',
      'the same from a worker that runs on this host, which is many times as fast',
    ],
    [
      'lifeboat wal-fetch shop 00000002.history /tmp/history --system 7312345678901234567',
      'by hand; 0: it is there, 1: it is not in the vault, above 125: it could not be asked',
    ],
  ]);
  return walFetch;
}

const WAIT = '1m';

async function walFetch(call: Call): Promise<Outcome> {
  const isStandby = call.options['standby'] === true;
  try {
    const found = await fetched(call, isStandby);
    return found ? { data: { found } } : { data: { found }, exitCode: NOT_STORED };
  } catch (error) {
    if (!isStandby) throw error;
    // Such a server never takes 1 for the end of its WAL: it looks for another way, and asks again.
    const report = reportOf(error);
    for (const line of failureLines(report)) call.out.remark(line);
    return { data: { found: false, asked: false, reason: report.message }, exitCode: NOT_STORED };
  }
}

async function fetched({ args, options, host, out, configPath }: Call, isStandby: boolean): Promise<boolean> {
  const [{ loadConfig }, { fetchWal }, { plainRun, silentLog }] = await Promise.all([
    import('../../activities/config/index.ts'),
    import('../../activities/fetch-wal.ts'),
    import('../../activities/io/run.ts'),
  ]);
  const [source = '', name = '', path = ''] = args;
  const waitMs = parseDuration((options['wait'] as string | undefined) ?? (isStandby ? '0s' : WAIT));
  const config = loadConfig({ path: configPath, environment: host.environment });
  const log = { ...silentLog, warn: (message: string) => out.remark(`lifeboat: ${message}`) };
  const order = {
    ...{ source: knownSource(config, source), name, to: resolve(path), data: resolve('.'), waitMs },
    ...given({
      systemId: options['system'] as string | undefined,
      keepInside: options['keepInside'] === true ? true : undefined,
    }),
  };
  return fetchWal(config, order, plainRun({ signal: host.interrupted, log }));
}
