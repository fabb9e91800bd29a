import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceOf } from '../../activities/weigh.ts';
import type { PendingApproval } from '../../workflows/model/approval.ts';
import { approvalProblem, isApproved, refusalProblem } from '../../workflows/model/approval.ts';
import { parseAddress, sameTraffic, SITE_FORM, siteProblem, trafficProblem } from '../../workflows/model/traffic.ts';

const HASH = 'ab'.repeat(32);

function pendingOf(rule: Partial<PendingApproval['rule']> = {}, given: string[] = []): PendingApproval {
  return {
    ...{ what: 'move it', initiator: 'anna', until: '2026-01-05T04:00:00.000Z' },
    evidence: { facts: [], hash: HASH },
    rule: { of: 1, from: [], byAnother: true, withinMs: 1000, ...rule },
    given: given.map((by) => ({ by, hash: HASH, at: '2026-01-05T03:00:00.000Z' })),
  };
}

const ben = { by: 'ben', hash: HASH };

test('who may approve what', () => {
  const cases: [string, PendingApproval | undefined, { by: string; hash: string }, RegExp | undefined][] = [
    ['another one', pendingOf(), ben, undefined],
    ['eight digits are enough', pendingOf(), { by: 'ben', hash: HASH.slice(0, 8) }, undefined],
    ['seven are not', pendingOf(), { by: 'ben', hash: HASH.slice(0, 7) }, /another one now: abababab/],
    ['no digits at all', pendingOf(), { by: 'ben', hash: '' }, /another one now/],
    ['other evidence', pendingOf(), { by: 'ben', hash: 'cd'.repeat(32) }, /another one now/],
    ['nothing waits', undefined, ben, /nothing waits/],
    ['nobody says it', pendingOf(), { by: ' ', hash: HASH }, /who speaks/],
    ['no name at all', pendingOf(), { hash: HASH } as never, /who speaks/],
    ['not one of them', pendingOf({ from: ['carl', 'dora'] }), ben, /ben is not one of carl, dora/],
    ['one of them', pendingOf({ from: ['ben'] }), ben, undefined],
    ['twice', pendingOf({ of: 2 }, ['ben']), ben, /ben has approved already/],
    ['who started it, alone', pendingOf(), { by: 'anna', hash: HASH }, /anna started this run/],
    ['who started it, as one of two', pendingOf({ of: 2 }), { by: 'anna', hash: HASH }, undefined],
    ['who started it, where that is allowed', pendingOf({ byAnother: false }), { by: 'anna', hash: HASH }, undefined],
  ];
  for (const [name, pending, message, problem] of cases) {
    const found = approvalProblem(pending, message);
    if (problem === undefined) assert.equal(found, undefined, name);
    else assert.match(found ?? 'taken', problem, name);
  }
});

test('when it is enough', () => {
  assert.equal(isApproved(pendingOf()), false);
  assert.equal(isApproved(pendingOf({}, ['ben'])), true);
  assert.equal(isApproved(pendingOf({ of: 2 }, ['ben'])), false);
  assert.equal(isApproved(pendingOf({ of: 2 }, ['anna', 'ben'])), true);
  assert.equal(isApproved(pendingOf({}, ['anna'])), false);
  assert.equal(isApproved(pendingOf({ byAnother: false }, ['anna'])), true);
});

test('who may refuse', () => {
  const pending = pendingOf({ from: ['ben'] });
  assert.equal(refusalProblem(pending, { by: 'ben', reason: 'no' }), undefined);
  assert.equal(refusalProblem(pending, { by: 'anna', reason: 'a mistake of mine' }), undefined);
  assert.match(refusalProblem(pending, { by: 'carl', reason: 'no' }) ?? '', /not one of/);
  assert.match(refusalProblem(pending, { by: 'ben', reason: ' ' }) ?? '', /needs a reason/);
  assert.match(refusalProblem(undefined, { by: 'ben', reason: 'no' }) ?? '', /nothing waits/);
});

test('evidence: other facts have another hash, however they are cut', () => {
  const hashOf = (...facts: [string, string][]): string =>
    evidenceOf(facts.map(([name, value]) => ({ name, value }))).hash;
  const all = [
    hashOf(['a', 'bc']),
    hashOf(['ab', 'c']),
    hashOf(['a', 'b'], ['', 'c']),
    hashOf(['a', 'b1:c']),
    hashOf(),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.equal(hashOf(['a', 'bc']), all[0]);
  assert.match(all[0] ?? '', /^[0-9a-f]{64}$/);
  // What may change by itself is shown, and is no part of it.
  for (const value of ['1', '2']) {
    const { facts, hash } = evidenceOf([
      { name: 'a', value: 'bc' },
      { name: 'n', value, passing: true },
    ]);
    assert.deepEqual([facts.length, hash], [2, all[0]]);
  }
});

test('traffic: addresses, shares, and what is the same', () => {
  assert.deepEqual(parseAddress('10.0.0.7:5432'), { host: '10.0.0.7', port: 5432 });
  assert.deepEqual(parseAddress('[fd00::7]:5432'), { host: 'fd00::7', port: 5432 });
  for (const bad of ['a', 'a:0', 'a:65536', ':5', 'a b:5', 'fd00::7:5', '[x]:5'])
    assert.equal(parseAddress(bad), undefined, bad);
  assert.ok(sameTraffic({ 'a:1': 40, 'b:1': 60 }, { 'b:1': 60, 'a:1': 40 }));
  assert.ok(!sameTraffic({ 'a:1': 40 }, {}));
  assert.equal(trafficProblem({}), undefined);
  assert.equal(trafficProblem({ 'a:1': 40, 'b:1': 60 }), undefined);
  for (const bad of [null, [], 'a', { a: 1 }, { 'a:1': 101 }, { 'a:1': -1 }, { 'a:1': '5' }, { 'a:1': NaN }])
    assert.notEqual(trafficProblem(bad), undefined, JSON.stringify(bad));
});

test('traffic by site: what works at two sites is at both, and no site is an address', () => {
  const sites = ['dc1', 'dc2'];
  for (const good of [{}, { dc1: 100 }, { dc1: 100, dc2: 100 }, { dc2: 33.33 }])
    assert.equal(siteProblem(good, sites), undefined, JSON.stringify(good));
  for (const bad of [{ dc3: 100 }, { dc1: 101 }, { dc1: 0 }, { 'dc1:5432': 100 }])
    assert.notEqual(siteProblem(bad, sites), undefined, JSON.stringify(bad));
  for (const name of ['dc1', 'eu-west-1', 'A.b_c']) assert.match(name, SITE_FORM);
  for (const name of ['', 'a:1', '[::1]:1', '-a', 'a b', 'a'.repeat(64)]) assert.doesNotMatch(name, SITE_FORM);
});
