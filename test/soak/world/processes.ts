import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Found {
  pid: number;
  command: string;
}

/** Processes of this machine whose command line names a path. */
export async function processesNaming(path: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(join('/proc', name, 'cmdline'), 'utf8').catch(() => '');
    if (line.includes(path)) found.push({ pid: Number(name), command: line.replaceAll('\0', ' ').trim() });
  }
  return found;
}

/** Process ids of a process's children; none when it is gone. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
