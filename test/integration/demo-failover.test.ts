import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { leavesNothing, runDemo } from '../support/demo.ts';

interface FailoverDemo {
  ok: boolean;
  planned: { lost: number; outageMs: number };
  unplanned: { lostQuoted: number; lostMeasured: number; outageMs: number };
  failback: { path: string; lost: number };
  writersMax: number;
  report: string;
}

test('the demo of a failover loses nothing that was not quoted, lets one server write at a time, and says so in JSON and on a page', async () => {
  const { lines, code } = await runDemo(['failover', '--json'], () => undefined);
  const { report, ...result } = JSON.parse(lines.at(-1) ?? '') as FailoverDemo;
  try {
    const { ok, planned, unplanned, failback, writersMax } = result;
    assert.deepEqual(
      { code, ok, planned: planned.lost, failback, writersMax },
      { code: 0, ok: true, planned: 0, failback: { path: 'rewind', lost: 0 }, writersMax: 1 },
      lines.join('\n'),
    );
    assert.ok(unplanned.lostMeasured > 0 && unplanned.lostMeasured <= unplanned.lostQuoted, JSON.stringify(unplanned));
    assert.ok(planned.outageMs > 0 && unplanned.outageMs > 0);
    const page = await readFile(report, 'utf8');
    assert.equal(page.match(/<svg/g)?.length, 4);
    assert.match(page, /nobody served/);
    assert.doesNotMatch(page, /<script|src="http|@import|url\(http/);
  } finally {
    await rm(report, { force: true });
  }
});

test('Ctrl-C while two servers are written to leaves nothing behind', () => leavesNothing(['failover'], /watch web:/));
