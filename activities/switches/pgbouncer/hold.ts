import { failure } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import type { Run } from '../../io/run.ts';
import { Console, placeOf } from './console.ts';
import type { Use } from './options.ts';
import { isHeld } from './state.ts';

const LOOK_MS = 50;

/** A PAUSE that is waited for on a connection of its own: it answers when the last transaction has ended. */
interface Pause extends AsyncDisposable {
  readonly database: string;
  /** Why the pooler refuses it. */
  error?: unknown;
}

async function pause(use: Use, database: string, run: Run): Promise<Pause> {
  const { drain, timeout } = use.options;
  const console = await Console.open(use, run, drain + timeout);
  const wish: Pause = { database, [Symbol.asyncDispose]: () => console[Symbol.asyncDispose]() };
  console.ask(`PAUSE "${database}"`).catch((error: unknown) => (wish.error = error));
  return wish;
}

/**
 * No entry is served when this resolves: new queries wait in the pooler, those that run have ended or, after `drain`, were cut
 * off with their clients. Busy, with everything as it was, where the switch is to give up instead.
 */
export async function hold(use: Use, console: Console, run: Run): Promise<void> {
  const { drain, afterDrain, timeout } = use.options;
  const open = (await console.live()).filter((entry) => !isHeld(entry));
  const pauses: Pause[] = [];
  try {
    for (const { database } of open) pauses.push(await pause(use, database, run));
    if (await heldWithin(drain, { console, pauses, run })) return;
    if (afterDrain === 'kill') {
      const busy = (await console.live()).filter((entry) => !isHeld(entry));
      for (const { database } of busy) await console.tell(`KILL "${database}"`);
      if (await heldWithin(timeout, { console, pauses, run })) return;
      throw stillServed(use, timeout);
    }
  } finally {
    await Promise.all(pauses.map((each) => each[Symbol.asyncDispose]()));
  }
  const ours = open.filter(({ paused }) => !paused);
  for (const { database } of ours) await console.tell(`RESUME "${database}"`);
  throw stillBusy(use);
}

async function heldWithin(ms: number, use: { console: Console; pauses: readonly Pause[]; run: Run }): Promise<boolean> {
  const { console, pauses, run } = use;
  const untilMs = run.clock.nowMs() + ms;
  for (;;) {
    const live = await console.live();
    if (live.every(isHeld)) return true;
    const refused = pauses.find(
      ({ database, error }) => error !== undefined && live.some((each) => each.database === database && !each.paused),
    );
    if (refused) throw refused.error;
    if (run.clock.nowMs() >= untilMs) return false;
    const busy = live.reduce((sum, { connections }) => sum + connections, 0);
    run.progress({ phase: 'waiting for transactions to end', counters: { connections: busy } });
    await run.clock.sleep(LOOK_MS, run.signal);
  }
}

function stillServed(use: Use, timeoutMs: number): Error {
  return failure('Unavailable', `switch ${use.name}: the pooler keeps connections that it was told to end`, {
    ...{ place: placeOf(use), expected: `none ${formatDuration(timeoutMs)} after KILL`, found: 'some' },
    hint: 'see SHOW SERVERS in its console; it is tried again by itself',
  });
}

function stillBusy(use: Use): Error {
  const wait = formatDuration(use.options.drain);
  return failure('Busy', `switch ${use.name}: transactions did not end within ${wait}; their clients go on as before`, {
    ...{ place: placeOf(use), expected: `every transaction ended within ${wait}`, found: 'some still run' },
    hint: 'raise `drain`, end them, or set afterDrain: kill; it is tried again by itself',
    retryAfterMs: use.options.drain,
  });
}
