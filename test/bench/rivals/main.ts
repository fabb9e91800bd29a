import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { fill } from '../cluster.ts';
import { describeMachine } from '../measured.ts';
import { mark } from './changes.ts';
import type { Absent, Contestant } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { withGrounds } from './grounds.ts';
import { openLifeboat } from './lifeboat.ts';
import type { PlaceKind, RivalOptions } from './options.ts';
import { readRivalOptions, USAGE, WrongOptions } from './options.ts';
import { goals, page } from './page.ts';
import { openPgBackRest } from './pgbackrest.ts';
import { ratiosOf } from './ratios.ts';
import type { Outcome } from './report.ts';
import { tables } from './report.ts';
import { backUpEveryone, catchUp, MEASURE } from './rows.ts';
import type { Field } from './turns.ts';
import { openWalG } from './wal-g.ts';

function say(what: string): void {
  console.error(`bench: ${what}`);
}

/** Everyone who is measured, ours first. */
async function openAll(grounds: Grounds): Promise<{ contestants: Contestant[]; absent: Absent[] }> {
  const rivals = [
    await present('pgBackRest', () => openPgBackRest(grounds)),
    await present('WAL-G', () => openWalG(grounds)),
  ];
  return {
    contestants: [...(await openLifeboat(grounds)), ...rivals.filter((rival) => 'full' in rival)],
    absent: rivals.filter((rival) => 'reason' in rival),
  };
}

/** A rival that cannot even begin is told of, and the others are measured. */
async function present(name: string, open: () => Promise<Contestant | Absent>): Promise<Contestant | Absent> {
  return open().catch((error: unknown) => ({ name, reason: error instanceof Error ? error.message : String(error) }));
}

async function measureAt(kind: PlaceKind, options: RivalOptions): Promise<Omit<Outcome, 'options'>> {
  return withGrounds(kind, async (grounds) => {
    const { server } = grounds.cluster;
    const { contestants, absent } = await openAll(grounds);
    for (const { name, reason } of absent) say(`${name} is not measured: ${reason}`);
    say(`filling pgbench at scale ${options.scale}`);
    const { databaseBytes } = await fill(grounds.cluster, options.scale);
    await mark(server);
    const field: Field = { grounds, options, contestants, lines: [], fallen: new Map(), failures: [] };
    await catchUp(field);
    if (options.rows[0] !== 'full') await backUpEveryone(field);
    for (const row of options.rows) {
      say(`${kind}: ${row}`);
      await MEASURE[row](field);
    }
    const [version] = await server.sql('select version() as text');
    return {
      machine: await describeMachine(grounds.dir),
      postgres: String(version?.['text']).split(' ').slice(0, 2).join(' '),
      databaseBytes,
      contestants,
      absent,
      results: [{ kind, lines: field.lines }],
      failures: field.failures,
    };
  });
}

async function measureEverywhere(options: RivalOptions): Promise<Outcome> {
  const places = [];
  for (const kind of options.places) places.push(await measureAt(kind, options));
  const [first] = places;
  if (!first) throw new Error('no store to measure on');
  return {
    ...first,
    options,
    results: places.flatMap(({ results }) => results),
    failures: places.flatMap(({ failures }) => failures),
  };
}

/** `npm run bench -- rivals`; the exit code: 1 when somebody failed at something, 2 for wrong options. */
export async function benchRivals(args: string[]): Promise<number> {
  let options: RivalOptions;
  try {
    options = readRivalOptions(args);
  } catch (error) {
    if (!(error instanceof WrongOptions)) throw error;
    console.error(`bench: ${error.message}\n\n${USAGE}`);
    return 2;
  }
  const [load = 0] = loadavg();
  if (load > availableParallelism() / 2) {
    say(`this machine is busy (load ${load.toFixed(1)}): wall times tell of the others too`);
  }
  const outcome = await measureEverywhere(options);
  print(outcome);
  if (options.report !== undefined) await writeFile(options.report, page(outcome));
  if (options.json) console.log(JSON.stringify(ratiosOf(outcome.results[0]?.lines ?? [])));
  return outcome.failures.length === 0 ? 0 : 1;
}

function print(outcome: Outcome): void {
  for (const result of outcome.results) console.log(`${result.kind}\n\n${tables(outcome, result)}\n`);
  console.log(goals(outcome));
  for (const { name, reason } of outcome.absent) console.log(`\n${name} is not measured: ${reason}`);
  for (const failure of outcome.failures) console.log(`\nfailed: ${failure}`);
}
