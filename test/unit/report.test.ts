import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml } from '../../activities/report/index.ts';
import type { CopyReach } from '../../workflows/model/reachable-map.ts';
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

test('reachable moments are drawn by timeline, with bases, holes and damaged points', () => {
  const at = (minute: number): string => new Date(Date.UTC(2026, 0, 5, 3, minute)).toISOString();
  const reach: CopyReach = {
    ...{ copy: 'local', systemId: '1' },
    timelines: [
      { timeline: 1, isDefault: false, times: [{ from: at(0), to: at(20) }], positions: [] },
      { timeline: 2, isDefault: true, times: [{ from: at(10), to: at(40) }], positions: [] },
    ],
    bases: [
      { point: 'a', kind: 'full', timeline: 1, stopLsn: '0/1', at: at(0) },
      { point: 'b', kind: 'incremental', timeline: 1, stopLsn: '0/2', at: at(5), unusable: 'a link is gone' },
    ],
    holes: [{ timeline: 1, fromLsn: '0/5', toLsn: '0/6', bytes: 1, after: at(20) }],
    damaged: [{ point: '20260105T033000Z-1a2b3c4d-1', reason: 'signature <b>' }],
  };
  const html = renderHtml(sampleReport(), [reach]);
  const picture = html.slice(html.indexOf('Reachable moments, copy local'));
  // From 3:00 to 3:40 of the picture's width: 132 to 1096.
  const bars = [...picture.matchAll(/<rect class="bar (\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)];
  assert.deepEqual(
    bars.map(([, tone, x, width]) => [tone, x, width]),
    [
      ['work', '132.0', '482.0'],
      ['good', '373.0', '723.0'],
    ],
  );
  for (const text of ['full', 'incremental: no use', 'hole in the WAL', '20260105T033000Z-1a2b3c4d-1'])
    assert.ok(picture.includes(`>${text}</text>`), text);
  assert.match(picture, />2026-01-05 03:00</);
  assert.ok(!picture.includes('<b>') && picture.includes('a link is gone'));
});
