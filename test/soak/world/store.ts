import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fate } from '../../support/http-proxy.ts';
import { startHttpProxy } from '../../support/http-proxy.ts';
import { startS3 } from '../../support/s3.ts';
import { keysOf } from '../../support/system-vault.ts';
import type { Weather } from './weather.ts';

export type StoreTrouble = Exclude<Weather['store'], 'good'>;

/** A store that can be made to misbehave, seen from a worker; seen from here it is always good. */
export interface SoakStore extends AsyncDisposable {
  /** Entry of `stores` in lifeboat.yml. */
  config: Record<string, unknown>;
  /** Environment and flags of a worker. */
  env: Record<string, string>;
  nodeFlags: readonly string[];
  /** Every key. */
  keys(): Promise<string[]>;
  setTrouble(trouble: StoreTrouble | undefined): Promise<void>;
  /** Calls that trouble has hit so far. */
  hits(): Promise<number>;
  /** For workers that start from now on. */
  setClockOffset(offsetMs: number): Promise<void>;
}

const SLOW_MS = 400;
const WEATHER = fileURLToPath(new URL('./weather.ts', import.meta.url));

interface Sky {
  set(change: Partial<Weather>): Promise<void>;
  file: string;
}

/** A file with the weather in it; whole whenever it is read. */
async function skyIn(dir: string, below: string): Promise<Sky> {
  const file = join(dir, 'weather.json');
  let weather: Weather = { store: 'good', delayMs: SLOW_MS, below, clockOffsetMs: 0 };
  const set = async (change: Partial<Weather>): Promise<void> => {
    weather = { ...weather, ...change };
    await writeFile(`${file}.new`, JSON.stringify(weather));
    await rename(`${file}.new`, file);
  };
  await set({});
  return { file, set };
}

function surroundings({ file, set }: Sky): Pick<SoakStore, 'env' | 'nodeFlags' | 'setClockOffset'> {
  return {
    ...{ env: { SOAK_WEATHER: file }, nodeFlags: ['--import', WEATHER] },
    setClockOffset: (clockOffsetMs) => set({ clockOffsetMs }),
  };
}

export async function folderStore(dir: string): Promise<SoakStore> {
  const path = join(dir, 'vault');
  await mkdir(path);
  const sky = await skyIn(dir, path);
  return {
    ...surroundings(sky),
    config: { kind: 'filesystem', path },
    keys: () => keysOf(path, ''),
    setTrouble: (trouble) => sky.set({ store: trouble ?? 'good' }),
    hits: () =>
      stat(`${sky.file}.hits`).then(
        ({ size }) => size,
        () => 0,
      ),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What an S3 client sees of the same trouble. */
const FATES: Readonly<Record<StoreTrouble, Fate>> = {
  fail: { kind: 'answer', status: 503, body: '' },
  'lost-reply': { kind: 'lose-answer' },
  hang: { kind: 'mute' },
  slow: { kind: 'pass' },
};

export async function s3Store(dir: string): Promise<SoakStore> {
  const s3 = await startS3();
  const way = await startHttpProxy(Number(new URL(s3.endpoint).port));
  const bucket = await s3.createBucket();
  for (const [name, value] of [
    ['s3-id', s3.root.accessKeyId],
    ['s3-secret', s3.root.secretAccessKey],
  ] as const)
    await writeFile(join(dir, name), value, { mode: 0o600 });
  const sky = await skyIn(dir, join(dir, 'nothing'));
  let hits = 0;
  return {
    ...surroundings(sky),
    config: {
      ...{ kind: 's3', bucket, endpoint: way.origin, pathStyle: true, timeout: '5s' },
      ...{ accessKeyId: { file: join(dir, 's3-id') }, secretAccessKey: { file: join(dir, 's3-secret') } },
    },
    keys: async () => {
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const page = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
        keys.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
        token = page.NextContinuationToken;
      } while (token !== undefined);
      return keys;
    },
    setTrouble: (trouble) => {
      way.fate = () => {
        if (trouble === undefined) return undefined;
        hits += 1;
        return FATES[trouble];
      };
      return Promise.resolve();
    },
    hits: () => Promise.resolve(hits),
    [Symbol.asyncDispose]: async () => {
      await way[Symbol.asyncDispose]();
      await s3[Symbol.asyncDispose]();
    },
  };
}

/** Trouble for so long, and good again afterwards; how many calls it hit. */
export async function troubled(
  store: SoakStore,
  { trouble, forMs, signal }: { trouble: StoreTrouble; forMs: number; signal: AbortSignal },
): Promise<number> {
  const before = await store.hits();
  await store.setTrouble(trouble);
  try {
    await sleep(forMs, undefined, { signal });
  } finally {
    await store.setTrouble(undefined);
  }
  return (await store.hits()) - before;
}
