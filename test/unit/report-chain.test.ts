import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { canonicalJson, sha256 } from '../../activities/report/canonical.ts';
import type { SealedReport } from '../../activities/report/chain.ts';
import { chainEvents, signChain } from '../../activities/report/chain.ts';
import type { ReportVerdict } from '../../activities/report/index.ts';
import { verifyReport, writeForms } from '../../activities/report/index.ts';
import { sampleReport } from '../support/sample-report.ts';
import { eventOf, failoverReport, newSigner, tampered, writtenFailover } from '../support/sealed-report.ts';

const signer = newSigner();
const stranger = newSigner();
const written = writtenFailover(signer);
const keys = signer.trusted;

function verdictOf(
  changes: Partial<typeof written>,
  wishes: Parameters<typeof verifyReport>[1] = { keys },
): ReportVerdict {
  return verifyReport({ ...written, ...changes }, wishes);
}

/** As somebody does it who knows how reports are chained and has no key, or one of their own. */
function rewritten(change: (sealed: SealedReport) => void, by?: typeof signer): string {
  return tampered(written.json, (sealed) => {
    change(sealed);
    const { facts, events, head } = chainEvents(sealed);
    Object.assign(sealed, { events });
    Object.assign(sealed.chain, { facts, head, count: events.length });
    if (by) sealed.chain = signChain(sealed.chain, by.signing);
  });
}

test('a report is verified as it was written, by its key and by its head', () => {
  const good = verdictOf({}, { keys, head: written.head });
  assert.deepEqual(good.problems, []);
  assert.deepEqual([good.ok, good.signature, good.events, good.head], [true, 'good', 5, written.head]);
  for (const report of [sampleReport(), { ...sampleReport(), events: [] }]) {
    const forms = writeForms(report, signer.signing);
    assert.deepEqual(verifyReport(forms, { keys }).problems, []);
  }
});

const TAMPERED: [name: string, change: (sealed: SealedReport) => void, firstBad: number | undefined, says: RegExp][] = [
  ['an event is changed', (sealed) => void (eventOf(sealed, 2).what = 'decision: approval'), 2, /^event 2 of 5/],
  ['its time', (sealed) => void (eventOf(sealed, 3).at = '2026-01-05T03:00:01.000Z'), 3, /^event 3 of 5/],
  ['its tone', (sealed) => void (eventOf(sealed, 1).tone = 'good'), 1, /^event 1 of 5/],
  ['an event is removed', (sealed) => void sealed.events.splice(1, 1), 2, /^event 2 of 4/],
  ['the first event is removed', (sealed) => void sealed.events.shift(), 1, /^event 1 of 4/],
  ['the last event is removed', (sealed) => void sealed.events.pop(), 5, /^event 5: 4: the end is missing/],
  ['two events change places', (sealed) => void sealed.events.splice(2, 2, eventOf(sealed, 4), eventOf(sealed, 3)), 3, /^event 3 of 5/], // prettier-ignore
  ['an event stands there twice', (sealed) => void sealed.events.push(eventOf(sealed, 5)), 6, /^event 6 of 6/],
  ['an event is put between', (sealed) => void sealed.events.splice(3, 0, { ...eventOf(sealed, 3), what: 'x' }), 4, /^event 4 of 6/], // prettier-ignore
  [
    'a fact is changed',
    (sealed) => void (sealed.outcome = 'failed'),
    undefined,
    /^what the report says beside its events/,
  ],
  ['a fact is added', (sealed) => void Object.assign(sealed, { more: 1 }), undefined, /^what the report says beside/],
  ['an approval is changed', (sealed) => void Object.assign(sealed.change?.approvals?.[0] ?? {}, { by: 'carl' }), undefined, /^what the report says beside/], // prettier-ignore
  ['a fact and its hash', (sealed) => void ((sealed.title = 'x'), (sealed.chain.facts = chainEvents(sealed).facts)), 1, /^event 1 of 5/], // prettier-ignore
  ['a word beside the chain', (sealed) => void Object.assign(sealed.chain, { approvedBy: 'the board' }), undefined, /^the file, at chain/], // prettier-ignore
  ['a word beside the pages', (sealed) => void Object.assign(sealed.chain.pages, { pdf: 'ab'.repeat(32) }), undefined, /^the file, at chain/], // prettier-ignore
  [
    'letters behind the signature',
    (sealed) => void (sealed.chain.signature += '!'),
    undefined,
    /^the signature of the head/,
  ],
  ['the head is changed', (sealed) => void (sealed.chain.head = '00'.repeat(32)), 6, /another event at the end/],
];

for (const [name, change, firstBad, says] of TAMPERED) {
  test(`tampered: ${name}`, () => {
    const found = verdictOf({ json: tampered(written.json, change) });
    assert.deepEqual([found.ok, found.type, found.firstBad], [false, 'Integrity', firstBad]);
    const [first] = found.problems;
    assert.match(`${first?.place}: ${first?.found}`, says);
  });
}

test('appended with a chain that fits: the head does not, nor, when it is written anew, the signature', () => {
  const added = { at: '2026-01-05T03:00:20.000Z', lane: 'run', what: 'done', tone: 'good' as const };
  const appended = tampered(written.json, (sealed) => {
    const { events } = chainEvents({ ...sealed, events: [...sealed.events, added] });
    sealed.events.push(...events.slice(-1));
  });
  // Events that carry a hash are chained as if they had none.
  assert.match(verdictOf({ json: appended }).problems[0]?.found ?? '', /^6: what comes behind was added/);
  const anew = verdictOf({ json: rewritten((sealed) => void sealed.events.push({ ...added, hash: '' })) });
  assert.deepEqual([anew.ok, anew.signature, anew.firstBad], [false, 'wrong', undefined]);
});

test('whoever has no key cannot write it anew; without a key nobody is asked, and that is said', () => {
  const change = (sealed: SealedReport): void => void (eventOf(sealed, 2).what = 'decision: approval');
  assert.deepEqual(verdictOf({ json: rewritten(change) }).signature, 'wrong');
  const other = verdictOf({ json: rewritten(change, stranger) });
  assert.deepEqual([other.ok, other.signature, other.signer], [false, 'of another key', stranger.signing.id]);
  const bare = rewritten((sealed) => {
    change(sealed);
    delete sealed.chain.signer;
    delete sealed.chain.signature;
  });
  assert.equal(verdictOf({ json: bare }).signature, 'missing');
  // The chain alone, and the pages, can be made anew by anybody: that is what signature and head are for.
  const report = { ...failoverReport(), title: 'another' };
  const forged = writeForms(report);
  assert.deepEqual(verifyReport(forged).problems, []);
  assert.equal(verifyReport(forged).signature, 'not looked at');
  assert.match(verifyReport(forged, { head: written.head }).problems[0]?.place ?? '', /the head/);
});

test('a page that is another one is told, with the first event that is not as it was', () => {
  const html = written.html.replace('point of no return</td>', 'nothing special</td>');
  assert.notEqual(html, written.html);
  const page = verdictOf({ html });
  assert.deepEqual([page.problems[0]?.place, page.problems[0]?.found], ['the HTML page', 'it was changed: event 3 is not in its place']); // prettier-ignore
  const rows = written.markdown.split('\n');
  const at = rows.findIndex((row) => row.includes('| promote db-b |') && row.startsWith('| 4 |'));
  const moved = rows.with(at, rows[at - 1] ?? '').with(at - 1, rows[at] ?? '');
  assert.equal(
    verdictOf({ markdown: moved.join('\n') }).problems[0]?.found,
    'it was changed: event 4 is not in its place',
  );
  const figure = verdictOf({ html: written.html.replace('14.0 s', '1.40 s') });
  assert.equal(figure.problems[0]?.found, 'it was changed');
  const another = verdictOf({ html: written.html.replaceAll(written.head, 'cd'.repeat(32)) });
  assert.equal(another.problems[0]?.found, 'it names another one, or none');
  assert.equal(verdictOf({ markdown: undefined as never }).problems[0]?.found, 'not there');
});

test('a page that was written anew, with its hash, is signed by nobody', () => {
  for (const form of ['html', 'markdown'] as const) {
    const page = written[form].replace('the site burns', 'we felt like it');
    const json = tampered(written.json, (sealed) => void (sealed.chain.pages[form] = sha256(page)));
    const found = verdictOf({ json, [form]: page });
    assert.deepEqual([found.signature, found.problems.length], ['wrong', 1]);
  }
});

test('a file that says two things, or none, is no report', () => {
  const twice = written.json.replace('{\n', '{\n "title": "what somebody else reads",\n');
  assert.equal(verdictOf({ json: twice }).problems[0]?.expected, 'the form in which it was written');
  assert.equal(verdictOf({ json: '{' }).problems[0]?.found, 'no JSON');
  assert.match(verdictOf({ json: '{}' }).problems[0]?.place ?? '', /^the file, at format/);
  const newer = verdictOf({ json: tampered(written.json, (sealed) => void Object.assign(sealed, { format: 'lifeboat-report/2' })) }); // prettier-ignore
  assert.deepEqual([newer.type, newer.ok], ['Unsupported', false]);
});

test('canonical JSON is that of RFC 8785, and what other libraries write otherwise is in no report', () => {
  // The example of RFC 8785, section 3.2.2, with what JSON.parse makes of it.
  const example = { numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001], string: '\u20ac$\u000f\nA\'B"\\\\"/', literals: [null, true, false] }; // prettier-ignore
  assert.equal(
    canonicalJson(example),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const odd = { ...failoverReport(), rpoMs: 0.00001, title: `cut \ud83d`, extra: { b: undefined, a: 1 / 3 } };
  const sealed = JSON.parse(writeForms(odd).json) as SealedReport & { extra: object };
  assert.deepEqual([sealed.rpoMs, sealed.title, sealed.extra], [0, 'cut \ufffd', { a: 0.333 }]);
});

test('the hash of a plan is over the plan alone, so that the one that was shown can be compared with the one that was kept', () => {
  const { change } = JSON.parse(written.json) as SealedReport;
  const hash = createHash('sha256').update(canonicalJson(failoverReport().change?.plan)).digest('hex');
  assert.equal(change?.planHash, hash);
});
