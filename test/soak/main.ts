import { interruption } from '../../workers/dev/interruption.ts';
import { testScratch } from '../../workers/dev/scratch.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import type { SoakOptions } from './options.ts';
import { readOptions, USAGE } from './options.ts';
import type { SoakResult } from './soak.ts';
import { soak } from './soak.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(args: string[], signal: AbortSignal): Promise<number> {
  let options: SoakOptions | undefined;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`lifeboat: ${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
  if (!options) {
    say(USAGE);
    return 0;
  }
  const server = `postgres${options.postgres}` as const;
  await ensureTools(['temporal', server, ...(options.store === 's3' ? (['versitygw'] as const) : [])], { log: say });
  await using scratch = await testScratch();
  process.env['TMPDIR'] = scratch.path;
  say(`seed ${options.seed}, PostgreSQL ${options.postgres}, store ${options.store}, files below ${scratch.path}`);
  const result = await soak(options, signal, say);
  conclude(result);
  if (options.json) say(JSON.stringify(summaryOf(result)));
  return result.ok ? 0 : 1;
}

function conclude({ ok, seed, minutes, done, counts, failure }: SoakResult): void {
  const { restoresCompared, rowsCompared, runsRepeated, storeCallsHit } = counts;
  if (failure) {
    say(`\nFAILED: seed ${seed}, action ${failure.action} (${failure.name})\n${failure.message}`);
    say('\nactions so far:');
    for (const each of done) say(`  #${each.number + 1} ${each.name}: ${each.did}`);
    say(`\nlogs and histories: ${failure.artefacts}\nthe same again:     ${failure.replay}`);
  }
  for (const [reason, times] of Object.entries(counts.fallbacks)) say(`full instead, ${times} times: ${reason}`);
  const compared = `${restoresCompared} restores compared, ${rowsCompared} rows`;
  const faults = `${sum(counts.faults)} faults, ${storeCallsHit} store calls hit, ${runsRepeated} runs repeated`;
  say(`${ok ? 'ok' : 'FAILED'}: ${done.length} actions in ${minutes.toFixed(1)} minutes; ${compared}; ${faults}`);
}

function summaryOf({ ok, seed, minutes, done, counts, failure }: SoakResult): object {
  const { actions, faults, restoresCompared, rowsCompared, tablesCompared, pointsVerified, pointsRemoved } = counts;
  return {
    ...{ ok, seed, minutes: Math.round(minutes * 10) / 10, done: done.length, actions, restoresCompared },
    ...{ tablesCompared, rowsCompared, pointsVerified, pointsRemoved, faultsInjected: sum(faults), faults },
    ...{ storeCallsHit: counts.storeCallsHit, runsRepeated: counts.runsRepeated, fallbacks: counts.fallbacks },
    ...(failure ? { failure } : {}),
  };
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, each) => total + each, 0);
}

const signal = interruption();
// Calls that wait for the Temporal server that is gone would keep this process.
process.exit(
  await main(process.argv.slice(2), signal).catch((error: unknown) => {
    process.stderr.write(
      signal.aborted
        ? 'lifeboat: interrupted; nothing is left behind\n'
        : `lifeboat: ${(error as Error).stack ?? String(error)}\n`,
    );
    return signal.aborted ? 130 : 1;
  }),
);
