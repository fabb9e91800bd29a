import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Parts whose bytes are all in place, so that a restore that was killed goes on behind them. */
export interface Journal extends AsyncDisposable {
  readonly done: ReadonlySet<number>;
  add(part: number): Promise<void>;
}

/**
 * Opens the journal of the restore `run`. What was written before the host itself went down may not have reached the
 * disk, so a journal of another boot counts for nothing.
 */
export async function openJournal(path: string, run: string): Promise<Journal> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim();
  const head = JSON.stringify({ boot, run });
  const text = await readFile(path, 'utf8').catch(() => '');
  // The last line may be cut, by a full disk above all; a number that is cut is another number.
  const ended = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first, ...numbers] = ended.split('\n').slice(0, -1);
  const valid = first === head;
  const file: FileHandle = await open(path, 'a');
  await file.truncate(valid ? Buffer.byteLength(ended) : 0);
  if (!valid) await file.appendFile(`${head}\n`);
  return {
    done: new Set(valid ? numbers.map(Number) : []),
    add: (part) => file.appendFile(`${part}\n`),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
