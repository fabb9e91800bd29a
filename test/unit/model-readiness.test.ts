import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterFacts, NodeState } from '../../workflows/model/cluster.ts';
import type { ReadyQuestion } from '../../workflows/model/readiness.ts';
import { readyChecks, unready } from '../../workflows/model/readiness.ts';
import { clusterOf, goneState, primaryState, standbyState } from '../support/failover-answers.ts';
import { HOME, serviceOf } from '../support/workflow-answers.ts';

const cluster = (changes: Partial<ClusterFacts>): Pick<ReadyQuestion, 'cluster'> => ({
  cluster: clusterOf('web', { fence: [{ by: 'agent-stop' }, { by: 'lease', afterMs: 1000 }], ...changes }),
});

/** Everything is as it should be. */
const DRILLED = { sampleAgeMs: 800, drillAgeMs: 86_400_000, failoverDrillAgeMs: 86_400_000 };

function question(changes: Partial<ReadyQuestion> = {}): ReadyQuestion {
  return {
    ...cluster({}),
    service: serviceOf('web', { traffic: [{ name: 'pool', kind: 'command', weighted: true }] }),
    ...{ states: [primaryState('db-a'), standbyState('db-b')], to: 'db-b' },
    ...{ stored: DRILLED, traffic: [['pool', HOME] as const] },
    refused: new Map(),
    ...changes,
  };
}

const states = (a: Partial<NodeState>, b: Partial<NodeState> = {}): Partial<ReadyQuestion> => ({
  states: [primaryState('db-a', a), standbyState('db-b', b)],
});
const slot = { name: 'by_hand', physical: true, active: true, status: 'reserved' };
const settings = primaryState('db-a').settings ?? {};

const BROKEN: [name: string, changes: Partial<ReadyQuestion>, check: string, found: RegExp, hint: RegExp][] = [
  ['no heartbeat', states({ heartbeat: undefined } as never), 'heartbeat', /^none$/, /lifeboat watch web/],
  ['an old heartbeat', states({ heartbeat: { at: '2026-01-05T02:00:00Z', ageMs: 3_600_000 } }), 'heartbeat', /1h/, /watch/],
  ['late in time', states({}, { heartbeat: { at: '2026-01-05T02:50:00Z', ageMs: 600_000 } }), 'lag in time', /m/, /standby/],
  ['late in bytes', states({}, { lsn: '0/1000000' }), 'lag', /64\.0 MiB/, /standby/],
  ['no slot', states({ slots: [] }), 'slot of the candidate', /^by_hand$/, /pg_create_physical/],
  ['a slot that is lost', states({ slots: [{ ...slot, status: 'lost' }] }), 'slot of the candidate', /active, lost/, /pg_create/],
  ['a slot of nobody', states({ slots: [slot, { ...slot, name: 'old', active: false }] }), 'no slot that nobody uses', /old on db-a/, /pg_drop/],
  ['one of a standby', states({}, { slots: [{ ...slot, active: false }] }), 'no slot that nobody uses', /on db-b/, /pg_drop/],
  ['no way to rewind', states({ settings: { ...settings, data_checksums: 'off' } }), 'db-a can be rewound', /data_checksums off/, /pg_checksums/],
  ['no full pages', states({}, { settings: { ...settings, full_page_writes: 'off' } }), 'db-b can be rewound', /full_page_writes off/, /full_page/],
  ['settings that are smaller', states({ settings: { ...settings, max_connections: '10' } }), 'settings let the old primary follow', /10 < 100/, /restart/],
  ['a login that is refused', states({ reaches: [{ node: 'db-b', ok: false, found: 'no pg_hba.conf entry' }] }), 'replication login from db-a at db-b', /pg_hba/, /pg_hba/],
  ['a full disk', states({}, { freeBytes: 1 }), 'room on db-b', /1 B/, /make room/],
  ['traffic elsewhere', { traffic: [['pool', { 'other:5432': 100 }]] }, 'switch pool', /other:5432/, /send all traffic/],
  ['a switch that is silent', { traffic: [] }, 'switch pool', /none/, /worker/],
  ['a record that lives too long', { traffic: [], refused: new Map([['pool', 'time to live of at most 60 s: 3600 s']]) }, 'switch pool', /3600 s/, /what is found there/],
  ['clocks apart', states({}, { receiver: { status: 'streaming', timeline: 1, slot: 'by_hand', skewMs: -90_000 } }), 'clocks agree', /db-b is 1m30s behind/, /chronyc/],
  ['no samples', { stored: { ...DRILLED, sampleAgeMs: undefined } as never }, 'samples', /^none$/, /lifeboat watch web/],
  ['old samples', { stored: { ...DRILLED, sampleAgeMs: 60_000 } }, 'samples', /1m/, /lifeboat watch web/],
  ['no drill', { stored: { ...DRILLED, drillAgeMs: undefined } as never }, 'last drill', /^none$/, /lifeboat drill web/],
  ['no failover drill', { stored: { ...DRILLED, failoverDrillAgeMs: undefined } as never }, 'last failover drill', /^none$/, /lifeboat failover web --drill$/],
  ['an old failover drill', { stored: { ...DRILLED, failoverDrillAgeMs: 9_000_000_000 } }, 'last failover drill', /old/, /--drill$/],
  ['an old drill', { stored: { ...DRILLED, drillAgeMs: 9_000_000_000 } }, 'last drill', /old/, /lifeboat drill web/],
  ['a fence that dies with the site', cluster({ fence: [{ by: 'agent-stop' }, { by: 'command', name: 'x', host: 'e1' }], nodes: apart() }), 'a fence that works without the site', /none for db-a/, /another host/],
  ['a switch that dies with the site', { ...cluster({ nodes: apart() }), service: serviceOf('web', { traffic: [{ name: 'pool', kind: 'command', weighted: true, host: 'w1' }] }) }, 'switches that move without the site', /pool with db-b/, /no host/],
  ['no rpo', cluster({ objectives: { rtoMs: 1 } }), 'objectives', /no rpo/, /objectives/],
  ['no stream', states({}, { receiver: { status: 'waiting', timeline: 1, slot: 'by_hand' } }), 'candidate streams', /waiting/, /pg_stat_wal_receiver/],
]; // prettier-ignore

function apart(): ClusterFacts['nodes'] {
  const [a, b] = clusterOf('web').nodes;
  return [{ ...(a as never as ClusterFacts['nodes'][number]), host: 'e1' }, { ...(b as never as ClusterFacts['nodes'][number]), host: 'w1' }]; // prettier-ignore
}

test('a service that is ready: every check holds, and none has a hint', () => {
  const well = { status: 'streaming', timeline: 1, slot: 'by_hand', skewMs: 40 };
  const checks = readyChecks(question(states({}, { receiver: well })));
  assert.deepEqual(unready({ checks }), []);
  assert.ok(checks.length >= 26, String(checks.length));
  assert.ok(checks.every(({ hint }) => hint === ''));
});

test('what is broken is red, says what it found and how to mend it, and nothing else is', () => {
  for (const [name, changes, check, found, hint] of BROKEN) {
    const bad = readyChecks(question(changes)).filter(({ ok }) => !ok);
    const own = bad.find((each) => each.name === check);
    assert.ok(own, `${name}: ${JSON.stringify(bad)}`);
    assert.match(own.found, found, name);
    assert.match(own.hint, hint, name);
    assert.ok(own.expected !== '', name);
    const related = new Set([check, ...(check === 'heartbeat' ? ['lag in time'] : [])]);
    assert.deepEqual(bad.map((each) => each.name).filter((each) => !related.has(each)), [], name); // prettier-ignore
  }
});

test('every check that can be red has a hint of its own', () => {
  const dead = readyChecks(question({ states: [goneState('db-a'), standbyState('db-b')], stored: {}, traffic: [] }));
  const two = readyChecks(question({ states: [primaryState('db-a'), primaryState('db-b')] }));
  const other = readyChecks(question(states({}, { systemId: '8', version: 170_000, timeline: 3, held: true, running: false }))); // prettier-ignore
  const busy = readyChecks(question(states({ busyWith: ['base backups: 1'], senders: [] })));
  for (const { name, ok, hint } of [...dead, ...two, ...other, ...busy])
    assert.ok(ok || (hint !== '' && hint !== 'mend that, then look again'), name);
});
