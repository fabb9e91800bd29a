import { appendFileSync, promises, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Loaded into a worker before anything else (node --import): below one folder the file system is as bad as a file says,
 * and the clock stands where it says. The worker itself is the product's own.
 */
export interface Weather {
  /** fail: EIO at once. lost-reply: done, then EIO. hang: nothing answers until it is over. slow: every call takes `delayMs`. */
  store: 'good' | 'fail' | 'lost-reply' | 'hang' | 'slow';
  delayMs: number;
  /** Folder that it is about. */
  below: string;
  /** Added to the time of day. */
  clockOffsetMs: number;
}

const LOOK_MS = 50;
const CALLS = ['open', 'access', 'lstat', 'stat', 'readdir', 'mkdir', 'rename', 'link', 'unlink'] as const;
type Call = (path: unknown, ...rest: unknown[]) => Promise<unknown>;

const file = process.env['SOAK_WEATHER'];
if (file !== undefined) {
  stepClock(file);
  spoilFolder(file);
}

function weatherIn(path: string): Weather {
  return JSON.parse(readFileSync(path, 'utf8')) as Weather;
}

function stepClock(path: string): void {
  const { clockOffsetMs } = weatherIn(path);
  const RealDate = Date;
  const now = (): number => RealDate.now() + clockOffsetMs;
  // What is made without an argument tells the time.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given) => Reflect.construct(target, given.length === 0 ? [now()] : given) as object,
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  });
}

function spoilFolder(path: string): void {
  for (const name of CALLS) {
    const original = promises[name].bind(promises) as Call;
    const spoiled: Call = async (target, ...rest) => {
      const { below } = weatherIn(path);
      const call = (): Promise<unknown> => original(target, ...rest);
      return String(target).startsWith(below) ? weathered(path, name, call) : call();
    };
    Object.assign(promises, { [name]: spoiled });
  }
  syncBuiltinESMExports();
}

async function weathered(path: string, name: string, call: () => Promise<unknown>): Promise<unknown> {
  const { store, delayMs } = weatherIn(path);
  if (store === 'good') return call();
  appendFileSync(`${path}.hits`, '.');
  const broken = Object.assign(new Error(`EIO: made to fail, ${name}`), { code: 'EIO', errno: -5, syscall: name });
  if (store === 'fail') throw broken;
  if (store === 'slow') await sleep(delayMs);
  while (weatherIn(path).store === 'hang') await sleep(LOOK_MS);
  const answer = await call();
  if (store !== 'lost-reply') return answer;
  // An open file that nobody gets would stay open.
  if (name === 'open') await (answer as promises.FileHandle).close();
  throw broken;
}
