import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { NodeUse } from './node.ts';

const POLL_MS = 25;
const GONE_MS = 30_000;

/**
 * Ends programs of an attempt before this one that still write to a folder: a worker that is killed leaves them behind. Returns
 * when they are gone.
 */
export async function endStray({ run }: NodeUse, program: string, folder: string): Promise<void> {
  const deadline = run.clock.nowMs() + GONE_MS;
  for (;;) {
    const strays = await straysOn(program, folder);
    if (strays.length === 0) return;
    for (const pid of strays) kill(pid);
    if (run.clock.nowMs() > deadline) {
      throw failure('Unavailable', `${program} of an attempt before still works on ${folder}`, {
        place: folder,
        expected: 'none',
        found: `process ${strays.join(', ')}`,
        hint: 'it does not even end by SIGKILL: look at the disk',
      });
    }
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function straysOn(program: string, folder: string): Promise<number[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    numbers.map(async (name) => {
      const [path = '', ...args] = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
      return basename(path) === program && args.includes(folder) ? [Number(name)] : [];
    }),
  );
  return found.flat();
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
