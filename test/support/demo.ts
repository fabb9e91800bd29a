import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DEMO = fileURLToPath(new URL('../../workers/dev/demo/main.ts', import.meta.url));

export interface DemoRun {
  lines: string[];
  code: number | null;
}

/** Runs the demo; `onLine` sees every line as it comes. */
export async function runDemo(
  args: string[],
  onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<DemoRun> {
  const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => {
    lines.push(line);
    onLine(line, (signal) => child.kill(signal));
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { lines, code };
}

/** Processes whose command or folder is below `dir`. */
async function processesBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (command.includes(dir) || folder.startsWith(dir)) found.push(`${pid} ${command.replaceAll('\0', ' ')}`);
  }
  return found;
}

/** A demo that is interrupted as soon as it says something leaves no process and no file. */
export async function leavesNothing(args: string[], pattern: RegExp): Promise<void> {
  const { lines, code } = await runDemo(args, (line, kill) => {
    if (pattern.test(line)) kill('SIGINT');
  });
  assert.equal(code, 130, lines.join('\n'));
  const dir = /below (\S+)/.exec(lines.join('\n'))?.[1] ?? '';
  assert.ok(dir.length > 5);
  assert.deepEqual(await processesBelow(dir), []);
  assert.equal(existsSync(dir), false);
}
