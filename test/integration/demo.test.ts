import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { leavesNothing, runDemo } from '../support/demo.ts';

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

test('Ctrl-C during the restore leaves nothing behind', () => leavesNothing([], /restore to just before/));
