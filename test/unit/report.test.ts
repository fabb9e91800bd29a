import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml, writeForms } from '../../activities/report/index.ts';
import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import type { Report } from '../../workflows/model/report.ts';
import { sampleReport } from '../support/sample-report.ts';
import { failoverReport } from '../support/sealed-report.ts';

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
  const html = renderHtml({ ...sampleReport(), reach: [reach] });
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

test('a failover says who agreed to what, how it was fenced, what was lost, how long it took, and what is left', () => {
  const { html, markdown } = writeForms(failoverReport());
  const row = (...cells: string[]): void => {
    assert.ok(html.includes(cells.map((cell) => `<td>${cell}</td>`).join('')), cells.join(', '));
    assert.ok(markdown.includes(`| ${cells.join(' | ')} |`), cells.join(', '));
  };
  row('ben', '2026-01-05T03:00:08.000Z', 'ab'.repeat(32));
  row('the rules were to be broken because', 'the site burns');
  row('1', 'power', 'unconfirmed', 'no answer');
  row('2', 'agent-stop', 'confirmed', 'no server runs');
  row('RPO', 'at most 12.0 s of 10.0 s: MISSED');
  row('measured behind it', '3 commits in 4.0 KiB, 0/5000000 to 0/5001000');
  row('RTO', '14.0 s of 5 min: kept');
  row('for', '14.0 s');
  row('stop the traffic', '2026-01-05T03:00:01.000Z', '2.00 s', '900 ms, at most 1.50 s, of 4: longer than ever');
  row('promote db-b', '2026-01-05T03:00:09.000Z', '3.00 s', 'none');
  row('1', 'keep db-a away from every client');
  assert.ok(html.includes('<td>7</td><td>promote db-b</td><td>nothing: only forward from here</td>'));
  // Nobody was served from the left edge of the picture on, for 14 of its 26 seconds.
  assert.match(html, /<rect class="bar bad" x="132\.0" y="\d+" width="519\.1"[^>]*><title>nobody served, 14\.0 s</);
  assert.match(html, /<title>approved by ben<\/title>/);
  // A step is a bar, and no mark as well.
  assert.equal(html.match(/<title>promote db-b<\/title>/g)?.length, 1);
});

test('text of a run is no markup in Markdown either, and each event is one row', () => {
  const { markdown, postMortem = '' } = writeForms(failoverReport());
  assert.ok(markdown.includes('| 2 | 2026-01-05T03:00:08.000Z | run | decision: break-glass \\| of \\<two\\> |'));
  assert.ok(markdown.includes('| switch lb: stopped to db-b:5432 100 % seen |'));
  assert.ok(postMortem.includes('| 2026-01-05T03:00:09.000Z | 9.00 s | promote db-b |'));
});

test('a post-mortem has what happened, blanks for what people know, and what is left as actions; a drill has none', () => {
  const { postMortem = '', head } = writeForms(failoverReport());
  for (const title of ['What happened', 'Impact', 'Causes', 'What went well', 'Actions'])
    assert.match(postMortem, new RegExp(`^## ${title}$`, 'm'));
  assert.ok(postMortem.includes(head) && postMortem.includes('| keep db-a away from every client |  |  |'));
  assert.equal(writeForms(sampleReport()).postMortem, undefined);
  assert.equal(writeForms({ ...failoverReport(), drill: true }).postMortem, undefined);
});

test('marks that stand close are all there, and no name is written over another one', () => {
  const report = sampleReport();
  const events = Array.from({ length: 12 }, (_, index) => ({
    ...{ at: new Date(Date.UTC(2026, 0, 5, 3, 0, 5, index)).toISOString(), lane: 'run' },
    ...{ what: `something number ${index}`, tone: 'mark' as const },
  }));
  const html = renderHtml({ ...report, events, spans: [], series: [] });
  for (const { what } of events) assert.ok(html.includes(`<title>${what}</title>`), what);
  assert.equal(html.match(/<text class="note mark"/g)?.length, 3);
});
