import type { Able, Contestant, Works } from './contestant.ts';
import { isAble } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { measure } from '../measured.ts';
import type { RivalOptions } from './options.ts';

/** One measured thing, with what became of it for each contestant. */
export interface Line {
  name: string;
  cells: Map<string, Cell>;
}

export type Cell = { samples: Works[string][] } | { reason: string };

/** All that rows share while they are measured on one kind of store. */
export interface Field {
  grounds: Grounds;
  options: RivalOptions;
  contestants: Contestant[];
  lines: Line[];
  /** Who has no whole backup to go on with, and why. */
  fallen: Map<string, string>;
  /** Whoever failed at something that has to be seen at the end. */
  failures: string[];
}

export interface Turn {
  /** Names of the lines that one run tells of. */
  lines: readonly string[];
  /** What a contestant is asked for. */
  pick(contestant: Contestant): Able<(run: number) => Promise<Works>>;
  /** Before each run, once. */
  before?(run: number): Promise<void>;
}

/** The last words tell why, characters. */
const MOST_SAID = 500;

type Attempt = (run: number) => Promise<Works>;

/** Everyone in turn, `runs` times; whoever fails is out of these lines, and the others go on. */
export async function takeTurns(field: Field, turn: Turn): Promise<void> {
  const lines = turn.lines.map((name) => lineOf(field, name));
  const playing = new Map<string, Attempt>();
  for (const contestant of field.contestants) {
    const able = turn.pick(contestant);
    if (isAble(able)) playing.set(contestant.name, able);
    else for (const { cells } of lines) cells.set(contestant.name, able);
  }
  for (let run = 0; run < field.options.runs; run++) {
    await turn.before?.(run);
    const order = [...playing];
    // Whoever comes second finds warmer caches: the order turns.
    for (const [name, attempt] of run % 2 === 0 ? order : order.toReversed()) {
      await settle(field);
      try {
        const works = await attempt(run);
        for (const line of lines) note(line, name, works[line.name]);
      } catch (error) {
        playing.delete(name);
        fail(field, { name, what: turn.lines.join(', '), error });
        for (const { cells } of lines) cells.set(name, { reason: 'failed, as said below' });
      }
    }
  }
}

/** Does something with everyone that is not measured; what rests on it is not asked of whoever fails. */
export async function withEveryone(
  field: Field,
  what: string,
  work: (contestant: Contestant) => Promise<unknown>,
): Promise<void> {
  for (const contestant of field.contestants) {
    await work(contestant).catch((error: unknown) => {
      field.fallen.set(contestant.name, `failed at ${what}`);
      fail(field, { name: contestant.name, what, error });
    });
  }
}

/** What the one before left for the disk to do is not the next one's. */
async function settle({ grounds }: Field): Promise<void> {
  await measure('sync -f "$1"', [grounds.dir]);
}

function fail(field: Field, { name, what, error }: { name: string; what: string; error: unknown }): void {
  const text = error instanceof Error ? error.message : String(error);
  console.error(`bench: ${name} failed at ${what}: ${text}`);
  field.failures.push(`${name} at ${what}: ${text.slice(-MOST_SAID)}`);
}

function lineOf(field: Field, name: string): Line {
  const found = field.lines.find((line) => line.name === name);
  if (found) return found;
  const line: Line = { name, cells: new Map() };
  field.lines.push(line);
  return line;
}

function note({ cells }: Line, who: string, work: Works[string] | undefined): void {
  if (!work) return;
  const cell = cells.get(who);
  if (cell && 'samples' in cell) cell.samples.push(work);
  else cells.set(who, { samples: [work] });
}
