import { randomUUID } from 'node:crypto';
import { findFailure } from '../../workflows/model/failure.ts';
import type { StoreSession } from './store.ts';

export interface StoreCheck {
  name: string;
  ok: boolean;
  found: string;
  hint?: string;
}

/**
 * The core of the contract suite against the user's own store, under a prefix of its own which it removes again:
 * what Lifeboat relies on is tried, not assumed.
 */
export async function checkStore(session: StoreSession): Promise<StoreCheck[]> {
  const key = `.lifeboat-check/${randomUUID()}`;
  const bytes = Buffer.from(`lifeboat check ${key}`);
  const steps: [string, () => Promise<string | undefined>][] = [
    ['write', async () => expect((await session.put(key, bytes)).created, true)],
    ['read back', async () => expect((await readAll(session, key)).equals(bytes), true)],
    [
      'conditional write is refused on a taken key',
      async () => expect((await session.put(key, bytes, { ifAbsent: true })).created, false),
    ],
    ['one winner of many conditional writes at once', () => race(session, `${key}-race`)],
    ['range', async () => expect((await readAll(session, key, { from: 1, to: 4 })).toString(), 'ifeb')],
    ['list', async () => expect((await firstKey(session, key)) === key, true)],
    ['remove', async () => expect((await session.remove(key), await session.stat(key)), undefined)],
  ];
  const checks: StoreCheck[] = [];
  for (const [name, step] of steps) checks.push(await attempt(name, step));
  for (const made of [key, `${key}-race`]) await session.remove(made).catch(() => undefined);
  return checks;
}

const RACERS = 16;

/** A server that looks first and writes then lets several win: two hosts would both believe that their backup stands. */
async function race(session: StoreSession, key: string): Promise<string | undefined> {
  const racers = Array.from({ length: RACERS }, (_, number) => Buffer.alloc(16 * 1024, number));
  const answers = await Promise.all(racers.map((bytes) => session.put(key, bytes, { ifAbsent: true })));
  const winners = racers.filter((_, number) => answers[number]?.created);
  const stored = await readAll(session, key);
  if (winners.length === 1 && winners[0]?.equals(stored)) return undefined;
  return `expected 1 winner and its bytes, found ${winners.length} of ${RACERS}`;
}

function expect(found: unknown, wanted: unknown): string | undefined {
  return found === wanted ? undefined : `expected ${String(wanted)}, found ${String(found)}`;
}

async function attempt(name: string, step: () => Promise<string | undefined>): Promise<StoreCheck> {
  try {
    const wrong = await step();
    if (wrong === undefined) return { name, ok: true, found: 'as promised' };
    return {
      name,
      ok: false,
      found: wrong,
      hint: 'this store does not keep what Lifeboat needs (docs/add-a-store.md); use another',
    };
  } catch (error) {
    return { name, ok: false, found: findFailure(error)?.message ?? String(error) };
  }
}

async function readAll(session: StoreSession, key: string, range?: { from: number; to: number }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await session.get(key, range)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function firstKey(session: StoreSession, prefix: string): Promise<string | undefined> {
  for await (const item of session.list(prefix)) return item.key;
  return undefined;
}
