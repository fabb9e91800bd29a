import type { Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, sameTraffic } from '../../../workflows/model/traffic.ts';
import type { Run } from '../../io/run.ts';
import type { Live } from './console.ts';
import { Console } from './console.ts';
import type { Entries } from './file.ts';
import { readEntries } from './file.ts';
import type { Target } from './ini.ts';
import { PARKED_HOST } from './ini.ts';
import type { Use } from './options.ts';

/** What pooler and file say at one moment. */
export interface Seen {
  entries: Entries;
  live: Live[];
  /** Where clients are served now. */
  served: Traffic;
  /** Where traffic goes, as a run has to take it. */
  observed: Observed;
}

/** Nobody is served: it leads nowhere, or clients wait and no connection is left on which something could still be written. */
export function isHeld({ host, paused, disabled, connections }: Live): boolean {
  return host === PARKED_HOST || ((paused || disabled) && connections === 0);
}

export async function look(use: Use, run: Run): Promise<Seen> {
  const entries = await readEntries(use);
  await using console = await Console.open(use, run);
  return seenOf(entries, await console.live());
}

function seenOf(entries: Entries, live: Live[]): Seen {
  const served = servedBy(live);
  const { token } = entries.mark;
  return { entries, live, served, observed: { traffic: trafficAs({ entries, served }), token } };
}

/**
 * A move that was begun holds clients before it leads them elsewhere. As long as it has led nobody there it has not been made;
 * from the first client on it has, whoever has still to follow.
 */
function trafficAs({ entries, served }: Pick<Seen, 'entries' | 'served'>): Traffic {
  const { moving } = entries.mark;
  if (!moving || isWhole({ served, targets: entries.targets }, moving.to)) return served;
  const { from, to } = moving;
  const addresses = Object.keys(served);
  if (!addresses.every((address) => Object.hasOwn(from, address) || Object.hasOwn(to, address))) return served;
  return addresses.some((address) => !Object.hasOwn(from, address)) ? to : from;
}

/** Clients are served there, and would be after the pooler was started anew. */
export function isWhole({ served, targets }: { served: Traffic; targets: readonly Target[] }, to: Traffic): boolean {
  return sameTraffic(served, to) && targets.every((target) => sameTraffic(trafficTo(target), to));
}

function trafficTo(target: Target): Traffic {
  return target.host === PARKED_HOST ? {} : { [addressText(target)]: 100 };
}

/** Each entry is an equal part of the traffic. */
function servedBy(live: readonly Live[]): Traffic {
  const counts = new Map<string, number>();
  for (const each of live.filter((entry) => !isHeld(entry))) {
    const address = addressText(each);
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  const share = (count: number): number => Math.floor((count * 10_000) / live.length) / 100;
  return Object.fromEntries([...counts].map(([address, count]) => [address, share(count)]));
}
