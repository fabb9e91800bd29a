import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml } from '../../activities/report/index.ts';
import type { Report } from '../../workflows/model/report.ts';
import { sampleReport } from '../support/sample-report.ts';

test('a report is one page that loads nothing', () => {
  const html = renderHtml(sampleReport());
  assert.doesNotMatch(html, /<script|<link|src=|@import|url\(/);
  assert.match(html, /<svg /);
});

test('every event, span and check of the data is on the page', () => {
  const report = sampleReport();
  const html = renderHtml(report);
  for (const event of report.events) assert.ok(html.includes(`>${event.what}</text>`), event.what);
  for (const span of report.spans) assert.ok(html.includes(`<title>${span.label}</title>`), span.label);
  for (const check of report.result?.proof.checks ?? []) assert.ok(html.includes(check.name), check.name);
});

test('a recovery from an increment names all that it stood on', () => {
  const report = sampleReport();
  assert.ok(report.result);
  const plan = { ...report.result.plan, chain: ['20260101T030000Z-full-1', '20260102T030000Z-inc-1', 'newest'] };
  const html = renderHtml({ ...report, result: { ...report.result, plan } });
  assert.match(html, /stands on.*20260101T030000Z-full-1, 20260102T030000Z-inc-1</);
  assert.doesNotMatch(renderHtml(report), /stands on/);
});

test('text from outside cannot become markup', () => {
  const hostile: Report = { ...sampleReport(), title: '<img onerror=1>', source: '"><b>' };
  const html = renderHtml(hostile);
  assert.ok(!html.includes('<img onerror'));
  assert.ok(html.includes('&lt;img onerror=1&gt;'));
  assert.ok(html.includes('&quot;&gt;&lt;b&gt;'));
});

test('marks stand where their time is: the first at the left edge, the last at the right', () => {
  const html = renderHtml(sampleReport());
  const x = [...html.matchAll(/<line class="stroke \w+" x1="([\d.]+)"/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    x,
    [...x].sort((a, b) => a - b),
  );
  assert.equal(x[0], 132);
});

test('a missed objective, a lost row and a failed check are shown as bad', () => {
  const report = sampleReport();
  const bad: Report = {
    ...report,
    outcome: 'failed',
    rpoMs: 9000,
    rpoObjectiveMs: 1000,
    oracle: { acknowledged: 10, found: 9, extra: 0 },
    failure: { type: 'Integrity', message: 'row missing', hint: 'lifeboat show' },
  };
  const html = renderHtml(bad);
  assert.equal(html.match(/class="figure bad"/g)?.length, 2);
  assert.match(html, /Not recovered/);
  assert.match(html, /lifeboat show/);
});
