import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Parts whose bytes are all in place, so that a restore that was killed goes on behind them. */
export interface Journal extends AsyncDisposable {
  readonly done: ReadonlySet<number>;
  add(part: number): Promise<void>;
}

/**
 * Opens the journal of a restore. What was written before the host itself went down may not have reached the disk, so a
 * journal of another boot counts for nothing.
 */
export async function openJournal(path: string): Promise<Journal> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim();
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  const valid = lines[0] === boot;
  const file: FileHandle = await open(path, valid ? 'a' : 'w');
  if (!valid) await file.appendFile(`${boot}\n`);
  // The last line may be cut; a number that is cut is another number, so only ended lines count.
  const done = new Set(valid ? lines.slice(1, -1).map(Number) : []);
  return {
    done,
    add: (part) => file.appendFile(`${part}\n`),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
