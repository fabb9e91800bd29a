import type { Command } from 'commander';
import type { VerifyWishes } from '../../activities/report/index.ts';
import type { VerifiedReport } from '../../activities/verify-report.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { Stop } from '../stop.ts';
import { pairLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<path>', 'a report, by its .json, .html or .md file, or a folder of them')
    .option(
      '--key <file>',
      'public key that signed, the signing.pub of the vault; several times for several (default: the keys of lifeboat.yml)',
      (file: string, others: string[] = []) => [...others, file],
    )
    .option('--head <hash>', 'hash of the last event, as the result of the run in Temporal has it')
    .option('--chain-only', 'do not ask who signed: whoever could write the file could have written all of it anew');
  addExamples(command, [
    ['lifeboat report verify /srv/scratch/reports', 'every report of a folder, with the keys of lifeboat.yml'],
    [
      'lifeboat report verify 20260105T030000Z-failover-web-1.html --key signing.pub',
      'one, on any machine: nothing else is needed',
    ],
    [
      'lifeboat report verify report.json --key signing.pub --head "$HEAD"',
      'and that it is the one that the run wrote: HEAD is report.head of its result',
    ],
  ]);
  return verify;
}

async function verify(call: Call): Promise<Outcome> {
  const [path = ''] = call.args;
  checkOptions(call);
  const [{ verifyReports }, { stat }] = await Promise.all([
    import('../../activities/verify-report.ts'),
    import('node:fs/promises'),
  ]);
  const head = call.options['head'] as string | undefined;
  if (head !== undefined && (await stat(path).catch(() => undefined))?.isDirectory())
    throw new Stop('Usage', '--head is of one report, and this is a folder', { hint: 'name the report' });
  const reports = await verifyReports(path, { keys: await keysOf(call), head });
  const bad = reports.find(({ type }) => type === 'Integrity') ?? reports.find(({ ok }) => !ok);
  return {
    data: { reports },
    lines: reports.flatMap(linesOf),
    ...(bad ? { exitCode: exitCodeOf(bad.type ?? 'Integrity') } : {}),
  };
}

function checkOptions({ options }: Call): void {
  const hint = 'lifeboat report verify --help';
  const [key, head] = [options['key'], options['head']] as (string | undefined)[];
  if (key !== undefined && options['chainOnly'] === true)
    throw new Stop('Usage', '--key and --chain-only: either who signed is asked, or it is not', { hint });
  if (head !== undefined && !/^[0-9a-f]{64}$/.test(head))
    throw new Stop('Usage', `--head is a hash of 64 digits, not "${head}"`, { hint });
}

/** Only public keys are read: an auditor has no others. */
async function keysOf({ options, configPath, host }: Call): Promise<VerifyWishes['keys']> {
  if (options['chainOnly'] === true) return undefined;
  const { loadConfig, loadSigners, signersOf } = await import('../../activities/config/index.ts');
  const given = options['key'] as string[] | undefined;
  return loadSigners(given ?? signersOf(loadConfig({ path: configPath, environment: host.environment })));
}

const SIGNED: Record<VerifiedReport['signature'], (signer: string) => string> = {
  good: (signer) => `signed by ${signer}`,
  missing: () => 'NOT SIGNED',
  'of another key': (signer) => `signed by ANOTHER KEY, ${signer}`,
  wrong: (signer) => `the signature of ${signer} DOES NOT FIT`,
  'not looked at': () => 'not looked at: it may have been written anew',
};

function linesOf({ file, ok, run, outcome, events, head, signature, signer = '', problems }: VerifiedReport): string[] {
  const isAnybodys = signature === 'not looked at';
  const good = isAnybodys ? 'fits together, and WHO WROTE IT IS NOT KNOWN' : 'verified';
  return [
    `${file}: ${ok ? good : 'NOT VERIFIED'}`,
    ...pairLines([
      ['  run', run && `${run} (${outcome})`],
      ['  events', head && `${events}, head ${head}`],
      ['  signature', head && SIGNED[signature](signer)],
      ['  pages', ok && !isAnybodys ? 'as they were written' : undefined],
    ]),
    ...problems.map(({ place, expected, found }) => `  ${place}: ${found}; expected: ${expected}`),
  ];
}
