import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** What of a restore is done, so that one that was killed goes on behind it. Entries are lines of the caller's making. */
export interface Journal extends AsyncDisposable {
  has(entry: string): boolean;
  add(entry: string): Promise<void>;
}

/**
 * Opens the journal of the restore `run`. What was written before the host itself went down may not have reached the
 * disk, so a journal of another boot counts for nothing.
 */
export async function openJournal(path: string, run: string): Promise<Journal> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown')).trim();
  const head = JSON.stringify({ boot, run });
  const text = await readFile(path, 'utf8').catch(() => '');
  // The last line may be cut, by a full disk above all; an entry that is cut is another entry.
  const ended = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first, ...entries] = ended.split('\n').slice(0, -1);
  const valid = first === head;
  const file: FileHandle = await open(path, 'a');
  await file.truncate(valid ? Buffer.byteLength(ended) : 0);
  if (!valid) await file.appendFile(`${head}\n`);
  const done = new Set(valid ? entries : []);
  return {
    has: (entry) => done.has(entry),
    add: async (entry) => {
      await file.appendFile(`${entry}\n`);
      done.add(entry);
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
