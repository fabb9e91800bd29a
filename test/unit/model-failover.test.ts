import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceOf } from '../../activities/weigh.ts';
import type { FailoverMode, NodeFacts, NodeState } from '../../workflows/model/cluster.ts';
import { candidateOf, peerSlot } from '../../workflows/model/cluster.ts';
import {
  candidateChecks,
  primaryOf,
  switchoverChecks,
  switchoverWarnings,
} from '../../workflows/model/failover-checks.ts';
import type { Loss } from '../../workflows/model/failover-loss.ts';
import { lossOf, sampleOf } from '../../workflows/model/failover-loss.ts';
import { factsOfPlan, planOf } from '../../workflows/model/failover-plan.ts';
import type { FenceOutcome } from '../../workflows/model/failover-verdict.ts';
import { decide, diagnose } from '../../workflows/model/failover-verdict.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn, recordEnd } from '../../workflows/model/lsn.ts';
import type { SwitchFacts } from '../../workflows/model/service.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import { clusterOf, goneState, primaryState, standbyState } from '../support/failover-answers.ts';

const CLUSTER = clusterOf('web');

test('a switchover between servers that are well: every check holds', () => {
  const states = [primaryState('db-a'), standbyState('db-b')];
  const checks = switchoverChecks({ cluster: CLUSTER, states, to: 'db-b' });
  assert.deepEqual(checks.filter(({ ok }) => !ok), []); // prettier-ignore
  assert.ok(checks.length >= 15);
  assert.equal(primaryOf(states)?.node, 'db-a');
  assert.deepEqual(switchoverWarnings(states), []);
});

test('what a switchover should know of and may go ahead with', () => {
  const settings = { ...standbyState('db-b').settings, data_checksums: 'off', synchronous_standby_names: 'db-a' };
  const warnings = switchoverWarnings([primaryState('db-a'), standbyState('db-b', { settings })]);
  assert.equal(warnings.length, 2);
  assert.match(warnings.join('\n'), /db-b could not be rewound[^]*db-b will wait for db-a/);
});

test('no candidate while another standby is ahead, on its timeline or on a later one', () => {
  const candidate = standbyState('db-b');
  const check = (other: Partial<NodeState>): boolean => {
    const states = [goneState('db-a'), candidate, standbyState('db-c', other)];
    return candidateChecks({ cluster: CLUSTER, states, to: 'db-b' }).every(({ ok }) => ok);
  };
  assert.equal(check({}), true);
  assert.equal(check({ lsn: '0/5000068' }), false);
  assert.equal(check({ timeline: 2, lsn: '0/100' }), false);
  assert.equal(check({ systemId: '8' }), false);
});

test('who is looked at is seen to serve by one, or to be gone by all', () => {
  const deaf = standbyState('db-b', { receiver: { status: 'streaming', timeline: 1, heardMsAgo: 9_000 } });
  const hears = standbyState('db-b');
  const silent = goneState('db-a', { trouble: { kind: 'silent', found: 'silence' } });
  const unseen = goneState('db-a', { unseen: true, trouble: { kind: 'other', found: 'no worker' } });
  const cases: [NodeState[], NodeState, string, boolean][] = [
    [[goneState('db-a', { running: false }), goneState('db-a')], hears, 'stopped', true],
    [[goneState('db-a'), goneState('db-a')], deaf, 'unreachable', true],
    [[goneState('db-a'), goneState('db-a')], hears, 'unreachable', false],
    [[goneState('db-a'), primaryState('db-a')], deaf, 'serving', false],
    [[goneState('db-a', { running: true }), goneState('db-a')], deaf, 'overloaded', true],
    [[silent, goneState('db-a')], deaf, 'frozen', true],
    [[goneState('db-a', { trouble: { kind: 'denied', found: 'no' } })], deaf, 'serving', false],
    [[], deaf, 'unknown', false],
    [[unseen, goneState('db-a'), goneState('db-a')], deaf, 'unreachable', true],
    [[unseen, goneState('db-a'), unseen], deaf, 'unknown', false],
    [[unseen, unseen, unseen], deaf, 'unknown', false],
    [[goneState('db-a', { running: false }), unseen, unseen], deaf, 'stopped', true],
    [[unseen, primaryState('db-a'), unseen], deaf, 'serving', false],
  ];
  for (const [looks, candidate, outage, agreed] of cases) {
    const found = diagnose(looks, candidate);
    assert.deepEqual([found.outage, found.agreed], [outage, agreed], JSON.stringify(found.why));
    const missing = looks.filter((look) => look === unseen).length;
    assert.equal(found.why.filter((line) => /^not looked at from db1: no worker$/.test(line)).length, missing);
  }
  // Cut off from everybody but another standby, which goes on acknowledging for it.
  const third = diagnose([goneState('db-a'), goneState('db-a')], deaf, [standbyState('db-c')]);
  assert.deepEqual([third.agreed, third.why.at(-1)], [false, 'db-c hears its primary']);
});

test('the decision table: fence, loss and objective', () => {
  const sample = { at: '2026-01-05T03:00:00.000Z', timeline: 1, lsn: '0/1', bytesPerSecond: 10 };
  const lost = (mostMs: number): Loss => ({ known: true, bytes: 1, mostBytes: 2, mostMs, sample });
  const unknown: Loss = { known: false, why: 'no sample' };
  const rows: [FenceOutcome[], Loss, number | undefined, boolean, string][] = [
    [['confirmed'], lost(10), 10, true, 'automatic'],
    [['confirmed'], lost(10), 10, false, 'approval'],
    [['unconfirmed', 'confirmed'], lost(10), 10, false, 'approval'],
    [['confirmed'], lost(11), 10, true, 'break-glass'],
    [['confirmed'], lost(0), undefined, true, 'break-glass'],
    [['confirmed'], unknown, 10, true, 'break-glass'],
    [['unconfirmed'], lost(0), 10, true, 'break-glass'],
    [['impossible'], lost(0), 10, true, 'break-glass'],
    [[], lost(0), 10, true, 'break-glass'],
    [['unconfirmed'], unknown, undefined, true, 'break-glass'],
  ];
  for (const [outcomes, loss, rpoMs, isAutomatic, permission] of rows) {
    const fence = outcomes.map((outcome) => ({ step: 'x', outcome, found: 'y' }));
    const verdict = decide({ fence, loss, rpoMs, automatic: isAutomatic ? ['unplanned'] : ['planned'] });
    assert.equal(verdict.permission, permission, JSON.stringify([outcomes, loss, rpoMs]));
    assert.equal(verdict.risks.length > 0, permission === 'break-glass');
    const away = decide({ fence, loss, rpoMs, automatic: ['unplanned'], away: ['lb'] });
    assert.equal(away.permission, permission === 'break-glass' ? permission : 'approval');
  }
});

test('a loss is quoted in bytes and in time, and unknown where nothing says it', () => {
  const sample = { at: '2026-01-05T03:00:00.000Z', timeline: 1, lsn: '0/3000', bytesPerSecond: 1024 };
  const untilMs = Date.parse(sample.at) + 2000;
  const loss = lossOf({ sample, frozenLsn: '0/2000', timeline: 1, untilMs });
  assert.deepEqual(loss, { known: true, bytes: 4096, mostBytes: 4096 + 2048, mostMs: 2000 + 4000, sample });
  const ahead = lossOf({ sample, frozenLsn: '0/4000', timeline: 1, untilMs });
  assert.deepEqual(ahead, { known: true, bytes: 0, mostBytes: 2048, mostMs: 2000, sample });
  assert.equal(lossOf({ sample, frozenLsn: '0/2000', timeline: 2, untilMs }).known, false);
  assert.equal(lossOf({ sample: undefined, frozenLsn: '0/2000', timeline: 1, untilMs }).known, false);
});

test('a sample is the newest position of its timeline, with the pace of those before it', () => {
  type Where = { at?: number; timeline?: number };
  const second = 1_000_000;
  const at = 1_767_582_000 * second;
  const object = (startLsn: string, endLsn: string, { at: lastCommitMicros, timeline = 1 }: Where = {}): WalObject => ({
    ...{ systemId: '7', timeline, startLsn, endLsn, key: endLsn, storedBytes: 1 },
    ...(lastCommitMicros === undefined ? {} : { lastCommitMicros }),
  });
  const objects = [
    object('0/2000', '0/3000', { at: at + 4 * second }),
    object('0/1000', '0/2000', { at }),
    object('0/3000', '0/3800'),
    object('0/9000', '0/9900', { at: at + 9 * second, timeline: 2 }),
  ];
  assert.deepEqual(sampleOf(objects, 1), {
    ...{ at: '2026-01-05T03:00:04.000000Z', timeline: 1, lsn: '0/3800', bytesPerSecond: 0x1800 / 4 },
  });
  assert.equal(sampleOf(objects, 3), undefined);
  assert.equal(sampleOf([object('0/1', '0/2')], 1), undefined);
});

test('the end of a record, by counting byte for byte over pages and segments', () => {
  const [pageBytes, segmentBytes] = [512, 4096];
  /** Lays the record out one byte at a time. */
  const counted = (start: number, length: number): number => {
    let at = start;
    for (let left = length; left > 0; left--) {
      if (at % pageBytes === 0) at += at % segmentBytes === 0 ? 40 : 24;
      at += 1;
    }
    while (at % 8 !== 0) at += 1;
    return at;
  };
  for (let seed = 1; seed < 4000; seed += 7) {
    const start = segmentBytes * 3 + 40 + ((seed * 8) % (segmentBytes - 48));
    // A header is no place for a record to begin.
    if (start % pageBytes < 24) continue;
    const length = 24 + ((seed * 131) % 3000);
    const found = recordEnd(BigInt(start), length, { segmentBytes, pageBytes });
    assert.equal(formatLsn(found), formatLsn(BigInt(counted(start, length))), `${start} + ${length}`);
  }
});

test('a candidate is named by its site or its own name', () => {
  assert.equal(candidateOf(CLUSTER, 'west').name, 'db-b');
  assert.equal(candidateOf(CLUSTER, 'db-b').name, 'db-b');
  assert.throws(() => candidateOf(CLUSTER, 'wset'), (error) => failureTypeOf(error) === 'NotFound'); // prettier-ignore
  assert.equal(peerSlot('db-a'), 'lifeboat_db_a');
});

const [EAST, WEST] = CLUSTER.nodes as [NodeFacts, NodeFacts];
const TASKS = { up: { east: '4 tasks of web', west: '6 tasks of web' }, down: { east: '1 task of web', west: '0' } };
const COMPUTE = { kind: 'ecs', weighted: false, overlaps: true as const, stops: false as const, place: 'web' };
const SWITCHES: SwitchFacts[] = [
  { name: 'old', ...COMPUTE, sites: ['east'], ...TASKS },
  { name: 'both', ...COMPUTE, sites: ['east', 'west'], ...TASKS },
  { name: 'pool', kind: 'pgbouncer', weighted: false, place: 'shop of 10.0.0.3:6432', stopped: 'its clients wait' },
  { name: 'db', kind: 'rds', weighted: false, sites: ['east', 'west'], stops: false, up: { west: 'crm-b writes' } },
  { name: 'bare', kind: 'ssm', weighted: false, sites: ['east', 'west'] },
];

test('a plan names what every switch does at each site, before, behind and while nobody is served', () => {
  const about = (mode: FailoverMode, to = WEST, traffic = SWITCHES): string[] =>
    planOf({ cluster: CLUSTER, mode, from: EAST, to, traffic, checks: [] })
      .steps.map(({ what }) => what)
      .filter((what) => /traffic|site|as it is/.test(what));
  const shared = [
    'bring up site west: both (ecs): 6 tasks of web',
    'stop the traffic: pool (pgbouncer, shop of 10.0.0.3:6432): its clients wait; bare (ssm)',
    'send the traffic to db-b.example:5432: pool (pgbouncer, shop of 10.0.0.3:6432): db-b.example:5432; db (rds): crm-b writes; bare (ssm): west',
  ];
  assert.deepEqual(about('planned'), [...shared, 'take down site east: old (ecs): 1 task of web; both (ecs): 1 task of web']); // prettier-ignore
  assert.deepEqual(about('unplanned'), [...shared, 'leave as it is what works at east: old, both']);
  // Within one site nothing has to come up that is not there, and nothing goes down.
  assert.equal(about('planned', { ...WEST, site: 'east' }).some((what) => what.startsWith('take down')), false); // prettier-ignore
  assert.deepEqual(about('planned', WEST, []), ['stop the traffic: no switch can, it goes on', 'send the traffic to db-b.example:5432: no switch does']); // prettier-ignore
});

test('what people agree to is what the switches do: other words are another hash', () => {
  const hashOf = (traffic: SwitchFacts[]): string => {
    const plan = planOf({ cluster: CLUSTER, mode: 'planned', from: EAST, to: WEST, traffic, checks: [] });
    return evidenceOf(factsOfPlan(plan, [], 'anna')).hash;
  };
  const [old, both, ...others] = SWITCHES as [SwitchFacts, SwitchFacts, ...SwitchFacts[]];
  const known = hashOf(SWITCHES);
  assert.equal(hashOf(SWITCHES), known);
  for (const words of [{ up: { west: '60 tasks of web' } }, { down: { east: '0 tasks of web' } }])
    assert.notEqual(hashOf([old, { ...both, ...words }, ...others]), known, JSON.stringify(words));
});

test('a plan has one point of no return, and what is before it that touches anything can be taken back', () => {
  for (const mode of ['planned', 'unplanned'] as const) {
    const [from, to] = CLUSTER.nodes;
    assert.ok(from && to);
    const { steps } = planOf({ cluster: CLUSTER, mode, from, to, traffic: SWITCHES, checks: ['smoke'] });
    const at = steps.findIndex(({ pointOfNoReturn }) => pointOfNoReturn);
    assert.equal(steps.filter(({ pointOfNoReturn }) => pointOfNoReturn).length, 1);
    assert.ok(steps.slice(at).every(({ undo }) => undo === undefined));
    const touching = steps.slice(0, at).filter(({ what }) => /^(stop|quiesce|freeze)/.test(what));
    assert.ok(touching.length >= 2 && touching.every(({ undo }) => undo !== undefined));
  }
});
