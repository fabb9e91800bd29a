import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { Load } from '../../../workers/dev/demo/pair/load.ts';
import type { PairWorld } from '../../../workers/dev/demo/pair/world.ts';
import { makePairWorld, SERVICE } from '../../../workers/dev/demo/pair/world.ts';
import { WriteProbe } from '../../../workers/dev/demo/pair/write-probe.ts';
import { interruption } from '../../../workers/dev/interruption.ts';
import { describeMachine } from '../measured.ts';
import { replaceByHand, switchByHand } from './by-hand.ts';
import { replaceByLifeboat, switchByLifeboat } from './by-lifeboat.ts';
import type { FailoverBenchOptions } from './options.ts';
import { readFailoverOptions } from './options.ts';
import { goals, page, summaryOf, tables } from './page.ts';
import type { Kind, Measured } from './page.ts';
import type { Field, Turn } from './turns.ts';
import { settled } from './turns.ts';

/** As shipped, but for what keeps twenty outages in ten minutes from starting twenty failovers. */
export const CLUSTER = {
  automatic: ['planned', 'unplanned'],
  objectives: { rto: '1m', rpo: '30s' },
  watch: { automatic: true, witnesses: ['office'], pause: '1s', flaps: { most: 100, within: '1s' } },
};

const KINDS: Record<Kind, (field: Field, run: number) => Promise<Turn>> = {
  planned: switchByLifeboat,
  plannedByHand: switchByHand,
  // Every other time the standby has acknowledged every commit.
  unplanned: (field, run) => replaceByLifeboat(field, run % 2 === 1),
  unplannedByHand: replaceByHand,
};

function say(what: string): void {
  console.error(`bench: ${what}`);
}

/** `npm run bench -- failover`; the exit code: 1 when something failed on the way, 2 for wrong options. */
export async function benchFailover(args: string[]): Promise<number> {
  const options = readFailoverOptions(args);
  const [load = 0] = loadavg();
  if (load > availableParallelism() / 2)
    say(`this machine is busy (load ${load.toFixed(1)}): the times tell of the others too`);
  const signal = interruption();
  const measured = await measure(options, signal);
  console.log(`${tables(measured)}\n\n${goals(measured)}`);
  if (options.page !== undefined) await writeFile(options.page, page(measured));
  if (options.json) console.log(JSON.stringify(summaryOf(measured)));
  return measured.failures.length === 0 ? 0 : 1;
}

async function measure(options: FailoverBenchOptions, signal: AbortSignal): Promise<Measured> {
  await using world = await makePairWorld({
    ...{ cluster: CLUSTER, witnesses: ['office'], log: say, signal },
  });
  const { a, b, balancer, stack } = world;
  const use = { servers: [a, b], address: () => balancer.address(), logFile: join(stack.dir, 'acknowledged.log') };
  await using load = await Load.begin(a, use);
  await using probe = await WriteProbe.begin(a, [a, b]);
  await world.lifeboat.must('watch', SERVICE);
  const field: Field = { ...{ world, load, probe, primary: a, standby: b, gone: new Set<number>(), signal } };
  const turns: Measured['turns'] = { planned: [], plannedByHand: [], unplanned: [], unplannedByHand: [] };
  const failures: string[] = [];
  for (let run = 0; run < options.runs && failures.length === 0; run++) await round(field, { run, turns, failures });
  signal.throwIfAborted();
  return {
    ...{ options, turns, failures, writersMax: probe.most(), looks: probe.looks },
    ...{ acknowledged: load.acknowledged.length, postgres: await versionOf(world) },
    machine: await describeMachine(stack.dir),
  };
}

/** One of each; whoever comes second finds warmer caches, so that the order turns. What fails ends it: the servers are as they are. */
async function round(
  field: Field,
  { run, turns, failures }: Pick<Measured, 'turns' | 'failures'> & { run: number },
): Promise<void> {
  const kinds = Object.keys(KINDS) as Kind[];
  for (const kind of run % 2 === 0 ? kinds : kinds.toReversed()) {
    try {
      await settled(field, kind === 'unplanned');
      const turn = await KINDS[kind](field, run);
      turns[kind].push(turn);
      say(`${run + 1}: ${kind}, nobody served for ${turn.outageMs} ms, ${turn.lost} lost`);
    } catch (error) {
      field.signal.throwIfAborted();
      failures.push(`${kind}, run ${run + 1}: ${error instanceof Error ? error.message : String(error)}`);
      say(`failed: ${failures.at(-1)}`);
      return;
    }
  }
}

async function versionOf({ a, b }: PairWorld): Promise<string> {
  for (const server of [a, b]) {
    const rows = await server.sql<{ text: string }>('select version() as text').catch(() => []);
    if (rows[0]) return rows[0].text.split(' ').slice(0, 2).join(' ');
  }
  return 'PostgreSQL';
}
