import { failure, isFailure } from '../../../workflows/model/failure.ts';
import type { Move, Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, describeTraffic, parseAddress } from '../../../workflows/model/traffic.ts';
import { exclusively } from '../../io/exclusive.ts';
import type { Run } from '../../io/run.ts';
import { stillToDo } from '../compare.ts';
import type { Live } from './console.ts';
import { Console, placeOf } from './console.ts';
import { writeEntries } from './file.ts';
import { hold } from './hold.ts';
import type { Target } from './ini.ts';
import { PARKED_HOST, withMark, withTargets } from './ini.ts';
import type { Use } from './options.ts';
import { isWhole, look } from './state.ts';

/**
 * Holds the clients, leads the entries elsewhere, and lets the clients go on. What is to be done stands in the file before it
 * is begun, so that a run that comes after one that died finds it half made, and makes it whole.
 */
export async function move(use: Use, order: Move, run: Run): Promise<void> {
  const target = targetOf(use, order.to);
  await exclusively(`pgbouncer ${use.options.file}`, run, () => moveAlone(use, { order, target }, run));
}

async function moveAlone(use: Use, what: { order: Move; target: Target | undefined }, run: Run): Promise<void> {
  const { name } = use;
  const { token, to } = what.order;
  run.progress({ phase: `move of switch ${name}` });
  const { entries, served, observed } = await look(use, run);
  const todo = stillToDo(name, observed, what.order);
  let { text } = entries;
  if (!isWhole({ served, targets: entries.targets }, to)) {
    text = withMark(text, name, { token, moving: { from: observed.traffic, to } });
    await writeEntries(use, text);
    text = await lead(use, { text, target: what.target, token, served: Object.keys(observed.traffic).length > 0 }, run);
  } else if (todo === 'nothing' && entries.mark.moving === undefined) {
    return;
  }
  await writeEntries(use, withMark(text, name, { token }));
}

interface Leading {
  text: string;
  target: Target | undefined;
  token: number;
  /** Clients were served when it began. */
  served: boolean;
}

/** Gives the text of the file as it is then. */
async function lead(use: Use, what: Leading, run: Run): Promise<string> {
  const { name, options } = use;
  const { target } = what;
  // Where nothing of this move is left, the file says nothing of it.
  const asBefore = withMark(what.text, name, { token: what.token });
  await using console = await Console.open(use, run);
  try {
    await hold(use, console, run);
  } catch (error) {
    if (isFailure(error, 'Busy')) await writeEntries(use, asBefore);
    throw error;
  }
  const text = withTargets(what.text, options.databases, target);
  await writeEntries(use, text);
  await console.tell('RELOAD');
  const live = await console.live();
  const other = live.find(
    ({ host, port }) => host !== (target?.host ?? PARKED_HOST) || port !== (target?.port ?? port),
  );
  if (other) {
    await writeEntries(use, asBefore);
    if (what.served) for (const each of live) await release(console, each);
    throw notLed(use, other);
  }
  if (target) for (const each of live) await release(console, each);
  return text;
}

async function release(console: Console, { database, paused, disabled }: Live): Promise<void> {
  await console.tell(`RECONNECT "${database}"`);
  if (disabled) await console.tell(`ENABLE "${database}"`);
  if (paused) await console.tell(`RESUME "${database}"`);
}

function notLed(use: Use, { database, host, port }: Live): Error {
  const { file } = use.options;
  return failure('ConfigInvalid', `switch ${use.name}: the pooler does not follow ${file}`, {
    ...{
      place: placeOf(use),
      expected: `${database} as ${file} has it`,
      found: `${database} at ${addressText({ host, port })}`,
    },
    hint: `write %include ${file} into pgbouncer.ini, and the entry nowhere else`,
  });
}

/** undefined: nowhere. */
function targetOf({ name }: Use, to: Traffic): Target | undefined {
  const [only, ...more] = Object.entries(to);
  if (!only) return undefined;
  const [address, share] = only;
  const target = parseAddress(address);
  if (target && share === 100 && more.length === 0) return target;
  throw failure('ConfigInvalid', `switch ${name}: a pooler leads all of its clients to one server`, {
    ...{ place: `switches.${name}`, expected: 'one "host:port" with 100 %', found: describeTraffic(to) },
    hint: 'give the service one step: steps: [100]',
  });
}
