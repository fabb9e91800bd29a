import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../../../workflows/model/failure.ts';

const LOOK_MS = 50;
const SHOWN = 2000;

export interface Awaited {
  file: string;
  text: string;
  /** The process that writes the file. */
  ended: Promise<unknown>;
  signal: AbortSignal;
}

/** Resolves when a process has written a text; Unavailable, with the end of its log, when it ends before. */
export async function waitFor({ file, text, ended, signal }: Awaited): Promise<void> {
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const found = await readFile(file, 'utf8').catch(() => '');
    if (found.includes(text)) return;
    if (over) {
      throw failure('Unavailable', `a process ended before it was ready`, {
        place: file,
        expected: text,
        found: found.slice(-SHOWN),
        hint: `see ${file}`,
      });
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}
