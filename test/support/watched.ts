import type { RunProgress } from '../../workflows/messages.ts';
import type { CliWorld } from './cli-world.ts';
import { until } from './system-until.ts';

async function progressOf(world: CliWorld): Promise<RunProgress | undefined> {
  const { code, json } = await world.cli(['status', 'watch/web', '--json']);
  return code === 0 ? (json['progress'] as RunProgress | undefined) : undefined;
}

/** What the watch of service web says that it sees. */
export function sees(world: CliWorld, what: RegExp): Promise<true> {
  let last: RunProgress | undefined;
  return until(
    () => `the watch says ${String(what)}, not ${JSON.stringify(last)}`,
    async () => {
      last = await progressOf(world);
      return what.test(last?.step ?? '') ? true : undefined;
    },
  );
}

/** What it says that somebody should do. */
export function urges(world: CliWorld, what: RegExp): Promise<string> {
  let last: RunProgress | undefined;
  return until(
    () => `the watch urges ${String(what)}, not ${JSON.stringify(last)}`,
    async () => {
      last = await progressOf(world);
      return what.test(last?.attention ?? '') ? last?.attention : undefined;
    },
  );
}
