import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const DEMO = fileURLToPath(new URL('../../workers/dev/demo/main.ts', import.meta.url));

interface DemoRun {
  lines: string[];
  code: number | null;
}

/** Runs the demo; `onLine` sees every line as it comes. */
async function runDemo(
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

test('the demo brings back what was acknowledged although its worker is killed, and says so in JSON and on a page', async () => {
  const { lines, code } = await runDemo(['--json'], () => undefined);
  const result = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>;
  const report = String(result['report']);
  try {
    const { ok, acknowledged, found, extra, workerKilled } = result;
    assert.deepEqual(
      { code, ok, found, extra, workerKilled },
      { code: 0, ok: true, found: acknowledged, extra: 0, workerKilled: true },
    );
    assert.ok(Number(acknowledged) > 100, `${String(acknowledged)} orders`);
    assert.deepEqual(Object.keys(result['phases'] as object), ['find', 'fetch', 'replay', 'open', 'prove']);
    assert.ok(Number(result['rtoMs']) > 0 && Number(result['rpoMs']) >= 0);
    const page = await readFile(report, 'utf8');
    assert.match(page, /<svg/);
    assert.doesNotMatch(page, /<script|src="http|@import|url\(http/);
  } finally {
    await rm(report, { force: true });
  }
});

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

for (const [when, pattern] of [
  ['during the backup', /orders are written/],
  ['during the restore', /restore to just before/],
] as const) {
  test(`Ctrl-C ${when} leaves nothing behind`, async () => {
    const { lines, code } = await runDemo([], (line, kill) => {
      if (pattern.test(line)) kill('SIGINT');
    });
    assert.equal(code, 130, lines.join('\n'));
    const dir = /below (\S+)/.exec(lines.join('\n'))?.[1] ?? '';
    assert.ok(dir.length > 5);
    assert.deepEqual(await processesBelow(dir), []);
    assert.equal(existsSync(dir), false);
  });
}
