import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeFacts } from '../../workflows/model/cluster.ts';
import type { Observation, Outage, Reached, Sight, Written } from '../../workflows/model/outage.ts';
import { digestOf, isGone, judgeOutage, servingNode, servingNodes } from '../../workflows/model/outage.ts';
import type { OutageAct, OutageRules, OutageState } from '../../workflows/model/outage-watch.ts';
import { advance, lastWriteMs, WELL } from '../../workflows/model/outage-watch.ts';

const node = (name: string, site: string, host: string): NodeFacts => ({
  ...{ name, site, host, address: `${name}.example`, port: 5432, dataDir: `/srv/${name}` },
});
const NODES = [node('db-a', 'east', 'e1'), node('db-b', 'west', 'w1')];
const OBSERVERS = ['e1', 'w1', 'office'];

const primary = (changes: Partial<Sight> = {}): Sight => ({
  ...{
    node: 'db-a',
    reached: 'answers' as const,
    role: 'primary' as const,
    timeline: 1,
    lsn: '0/5000',
    written: 'done' as const,
  },
  ...changes,
});
const standby = (changes: Partial<Sight> = {}): Sight => ({
  ...{ node: 'db-b', reached: 'answers' as const, role: 'standby' as const, timeline: 1, lsn: '0/5000', hears: true },
  ...changes,
});
const away = (reached: Reached, changes: Partial<Sight> = {}): Sight => ({ node: 'db-a', reached, ...changes });
const DEAF = standby({ hears: false });

/** What each observer sees of the primary; null: it says nothing. */
function seen(sights: Record<string, Sight | null>, other: Sight | undefined = DEAF): Observation[] {
  return Object.entries(sights).flatMap(([host, sight]) =>
    sight ? [{ host, at: '2026-01-05T03:00:00.000Z', sights: [sight, ...(other ? [other] : [])] }] : [],
  );
}

const judged = (observations: Observation[], nodes = NODES, observers = OBSERVERS) =>
  judgeOutage({ nodes, observers, primary: 'db-a', observations });

const all = (sight: Sight): Record<string, Sight> => Object.fromEntries(OBSERVERS.map((host) => [host, sight]));

const CASES: [name: string, observations: Observation[], outage: Outage, agreed: boolean][] = [
  ['all is well', seen(all(primary()), standby()), 'none', false],
  ['its process is dead', seen({ ...all(away('refused')), e1: away('refused', { running: false }) }), 'process-dead', true],
  ['dead, told by its port alone', seen({ ...all(away('refused')), e1: null }), 'process-dead', true],
  ['dead, and its standby has not noticed', seen({ ...all(away('refused')), e1: away('refused', { running: false }) }, standby()), 'process-dead', false],
  ['its host and its site are gone', seen({ ...all(away('unreachable')), e1: null }), 'site-cut', true],
  ['frozen', seen({ ...all(away('hangs')), e1: away('hangs', { running: true }) }), 'frozen', true],
  ['frozen, and its sessions go on', seen(all(away('hangs')), standby()), 'frozen', false],
  ['others do not get in', seen({ ...all(away('unreachable')), e1: primary({ running: true }) }), 'one-way-cut', false],
  ['its host sees it run, and nobody gets in', seen({ ...all(away('unreachable')), e1: away('unreachable', { running: true }) }), 'one-way-cut', false],
  ['one observer alone is cut off', seen({ ...all(primary()), office: away('unreachable') }, standby()), 'one-way-cut', false],
  ['no session is free', seen(all(away('denied'))), 'overloaded', false],
  ['it reads, and does not write', seen(all(primary({ written: 'hangs' }))), 'overloaded', false],
  ['its disk is full', seen(all(primary({ written: 'disk-full' }))), 'disk-full', false],
  ['it is read-only for a moment', seen(all(primary({ written: 'read-only' }))), 'none', false],
  ['its standby is cut off', seen({ ...all(primary()), w1: away('unreachable') }), 'standby-isolated', false],
  ['its standby does not stream', seen(all(primary())), 'standby-isolated', false],
  ['too few look', seen({ e1: null, w1: away('unreachable'), office: null }), 'unknown', false],
  ['no standby answers', seen(all(away('refused')), { node: 'db-b', reached: 'unreachable' }), 'process-dead', false],
  ['it is in recovery all at once', seen(all(primary({ role: 'standby' }))), 'unknown', false],
  ['it begins just now', seen({ ...all(away('refused')), e1: away('refused', { running: true }) }), 'unknown', false],
  ['nobody knows what that is', seen(all(away('failed'))), 'unknown', false],
]; // prettier-ignore

test('each class of outage, and whether all who have to agree do', () => {
  for (const [name, observations, outage, agreed] of CASES) {
    const verdict = judged(observations);
    assert.deepEqual([verdict.outage, verdict.agreed], [outage, agreed], `${name}: ${verdict.why.join('; ')}`);
  }
});

test('a host that is gone is told from a site by its neighbours', () => {
  const nodes = [...NODES, node('db-c', 'east', 'e2')];
  const observers = [...OBSERVERS, 'e2'];
  const gone = { w1: away('unreachable'), office: away('unreachable') };
  assert.equal(judged(seen(gone), nodes, ['w1', 'office', 'e1']).outage, 'site-cut');
  assert.equal(judged(seen({ ...gone, e2: away('unreachable') }), nodes, observers).outage, 'host-dead');
  const reached = seen(gone).map((each) => ({ ...each, sights: [...each.sights, { ...standby({ node: 'db-c' }) }] }));
  assert.equal(judged(reached, nodes, ['w1', 'office', 'e1']).outage, 'host-dead');
});

test('two observers are no majority when one is gone with its host', () => {
  const verdict = judged(seen({ w1: away('unreachable') }), NODES, ['e1', 'w1']);
  assert.deepEqual([verdict.outage, verdict.agreed], ['unknown', false]);
  const dead = judged(seen({ e1: away('refused', { running: false }), w1: away('refused') }), NODES, ['e1', 'w1']);
  assert.deepEqual([dead.outage, dead.agreed], ['process-dead', true]);
});

test('of all that observers can see: who can write keeps it alive, and no few decide', () => {
  const reached: Reached[] = ['answers', 'hangs', 'refused', 'unreachable', 'denied', 'failed'];
  const written: Written[] = ['done', 'read-only', 'disk-full', 'hangs', 'failed'];
  let state = 7;
  const pick = <T>(list: readonly T[]): T => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return list[Math.floor((state / 2_147_483_648) * list.length)] as T;
  };
  const found = new Set<Outage>();
  for (let round = 0; round < 20_000; round++) {
    const observations = OBSERVERS.filter(() => pick([true, true, false])).map((host): Observation => {
      const how = pick(reached);
      const running = host === 'e1' ? { running: pick([true, false]) } : {};
      const sight = how === 'answers' ? primary({ written: pick(written), role: pick(['primary', 'primary', 'standby']) }) : away(how, running); // prettier-ignore
      const other = pick([standby(), DEAF, { node: 'db-b', reached: 'unreachable' as const }]);
      return { host, at: '2026-01-05T03:00:00.000Z', sights: [sight, other] };
    });
    const verdict = judged(observations);
    found.add(verdict.outage);
    const sights = observations.flatMap(({ sights: [first] }) => first ?? []);
    const says = `${JSON.stringify(observations)} ${JSON.stringify(verdict)}`;
    if (sights.some((sight) => sight.role === 'primary')) assert.ok(!isGone(verdict.outage), says);
    if (!verdict.agreed) continue;
    const down = sights.filter((sight) => sight.running === false || !['answers', 'denied'].includes(sight.reached));
    assert.ok(down.length * 2 > OBSERVERS.length, says);
    assert.ok(!observations.some(({ sights: [, second] }) => second?.hears === true), says);
    assert.equal(verdict.candidate, 'db-b', says);
    // The more who see it serve, the less is it gone.
    const one = { host: 'more', at: '', sights: [primary()] };
    assert.ok(!isGone(judged([...observations, one]).outage), says);
  }
  assert.deepEqual([...found].toSorted(), ['disk-full', 'frozen', 'none', 'one-way-cut', 'overloaded', 'process-dead', 'site-cut', 'standby-isolated', 'unknown']); // prettier-ignore
});

test('the standby that has most is the candidate; who serves is the newest primary', () => {
  const three = [...NODES, node('db-c', 'south', 's1')];
  const observations = seen(all(away('refused')), undefined).map((each) => ({
    ...each,
    sights: [...each.sights, DEAF, standby({ node: 'db-c', lsn: '0/6000', hears: false })],
  }));
  assert.equal(judgeOutage({ nodes: three, observers: OBSERVERS, primary: 'db-a', observations }).candidate, 'db-c');
  const two = seen({ e1: primary() }, primary({ node: 'db-b', timeline: 2 }));
  assert.equal(servingNode({ nodes: NODES, observations: two }, 'db-a'), 'db-b');
  assert.deepEqual(servingNodes(two), ['db-a', 'db-b']);
  assert.equal(servingNode({ nodes: NODES, observations: seen(all(away('refused'))) }, undefined), 'db-a');
  assert.equal(servingNode({ nodes: three, observations: seen(all(away('refused'))) }, undefined), undefined);
  assert.equal(servingNode({ nodes: three, observations: seen(all(away('refused'))) }, 'db-a'), 'db-a');
});

test('what was written meanwhile is no news; all else is', () => {
  const digest = digestOf([primary(), standby()]);
  assert.equal(digestOf([standby({ lsn: '0/6000' }), primary({ lsn: '0/6000', timeline: 2 })]), digest);
  const changes: Sight[][] = [
    [primary({ written: 'hangs' }), standby()],
    [primary(), DEAF],
    [primary({ role: 'standby' }), standby()],
    [primary({ running: true }), standby()],
    [away('hangs'), standby()],
  ];
  for (const sights of changes) assert.notEqual(digestOf(sights), digest);
});

const RULES: OutageRules = {
  afterMs: { process: 30_000, host: 60_000, frozen: 60_000, site: 1_800_000, cut: 3_600_000 },
  ...{ flaps: { withinMs: 1_800_000, most: 2 }, pauseMs: 3_600_000, automatic: true },
};

const DEAD = judged(seen({ ...all(away('refused')), e1: away('refused', { running: false }) }));
const FINE = judged(seen(all(primary()), standby()));
const CUT = judged(seen({ ...all(primary()), office: away('unreachable') }, standby()));
const UNSURE = judged(seen(all(away('hangs')), standby()));

/** Verdicts one after the other, each at its second, and again whenever it was asked for; what was done, and when. */
function told(verdicts: [second: number, verdict: typeof DEAD][], rules = RULES, untilS = 10_000): string[] {
  let state: OutageState = WELL;
  const acts: string[] = [];
  for (const [index, [second, verdict]] of verdicts.entries()) {
    const endMs = (verdicts[index + 1]?.[0] ?? untilS) * 1000;
    let nowMs: number | undefined = second * 1000;
    while (nowMs !== undefined && nowMs < endMs) {
      const next = advance(state, verdict, { rules, nowMs });
      assert.deepEqual(advance(next.state, verdict, { rules, nowMs }).what.act, 'none', 'the same again does nothing');
      state = next.state;
      const act: OutageAct = next.what;
      if (act.act !== 'none') acts.push(`${nowMs / 1000} ${act.act}${act.act === 'ask' ? `: ${act.why}` : ''}`);
      if (act.act === 'start') state = { ...state, failedOverMs: nowMs };
      assert.ok(next.againMs === undefined || next.againMs > nowMs);
      nowMs = next.againMs;
    }
  }
  return acts;
}

test('a failover is due when it has lasted, and what comes and goes at once is nobody’s business', () => {
  assert.deepEqual(told([[0, FINE], [5, DEAD]]), ['15 tell', '35 start']); // prettier-ignore
  assert.deepEqual(told([[0, FINE], [5, DEAD], [12, FINE]]), []); // prettier-ignore
  assert.deepEqual(told([[0, FINE], [5, DEAD], [20, FINE]]), ['15 tell', '20 over']); // prettier-ignore
  assert.deepEqual(told([[0, DEAD]], { ...RULES, automatic: false }), ['10 tell', '30 ask: watch.automatic is off']);
});

test('a primary that may live is told, and nothing is started', () => {
  assert.deepEqual(told([[0, CUT]]), ['10 tell', '3600 ask: the primary lives, or nobody can tell']);
  assert.deepEqual(told([[0, UNSURE]]), ['10 tell', '60 ask: not all who have to agree see it so']);
  // What was told as a cut is agreed to be gone later: from then on it counts.
  assert.deepEqual(told([[0, CUT], [100, DEAD]]), ['10 tell', '100 tell', '130 start']); // prettier-ignore
});

test('agreement that is lost begins to count anew, and nothing is started twice in one outage', () => {
  assert.deepEqual(told([[0, DEAD], [20, UNSURE], [25, DEAD]]), ['10 tell', '20 tell', '25 tell', '55 start']); // prettier-ignore
  assert.deepEqual(told([[0, DEAD], [40, UNSURE], [45, DEAD]]).filter((each) => each.endsWith('start')), ['30 start']); // prettier-ignore
});

test('what comes and goes again and again starts nothing, nor does what comes soon after a failover', () => {
  const flapping: [number, typeof DEAD][] = [0, 100, 200].flatMap((at): [number, typeof DEAD][] => [[at, DEAD], [at + 20, FINE]]); // prettier-ignore
  const acts = told([...flapping, [300, DEAD]]);
  assert.equal(acts.at(-1), '330 ask: it is the outage number 4 within watch.flaps.within');
  const later = told([...flapping, [3000, DEAD]]);
  assert.equal(later.at(-1), '3030 start');
  assert.equal(told([[0, DEAD], [40, FINE], [2000, DEAD]]).at(-1), '2030 ask: another failover was a short time ago (watch.pause)'); // prettier-ignore
  assert.equal(told([[0, DEAD], [40, FINE], [5000, DEAD]]).at(-1), '5030 start'); // prettier-ignore
});

test('when it may last have written is known where its own host sees no server, and of no other that is gone', () => {
  const after = (verdict: typeof DEAD): number | undefined =>
    lastWriteMs(advance(WELL, verdict, { rules: RULES, nowMs: 7 }).state);
  const own = away('refused', { running: false });
  assert.equal(after(judged(seen({ ...all(away('refused')), e1: own }))), 7);
  assert.equal(after(judged(seen({ ...all(away('unreachable')), e1: own }))), 7);
  const mute: Record<string, Sight | null> = { refused: null, hangs: away('hangs', { running: true }), unreachable: null }; // prettier-ignore
  const gone = Object.entries(mute).map(([how, e1]) => judged(seen({ ...all(away(how as Reached)), e1 })));
  assert.deepEqual(gone.map(({ outage, agreed }) => [outage, agreed]), [['process-dead', true], ['frozen', true], ['site-cut', true]]); // prettier-ignore
  for (const verdict of gone) assert.equal(after(verdict), undefined, verdict.outage);
  // One that is seen to run again may write again.
  const { state } = advance(WELL, DEAD, { rules: RULES, nowMs: 7 });
  const again = advance(state, gone[1] as typeof DEAD, { rules: RULES, nowMs: 9 }).state;
  assert.deepEqual([lastWriteMs(state), lastWriteMs(again)], [7, undefined]);
});

test('a primary that was cut off for long before it died may have written until it died', () => {
  const cut = judged(seen(all(primary())));
  assert.equal(cut.outage, 'standby-isolated');
  const hour = 3_600_000;
  const before = advance(WELL, cut, { rules: RULES, nowMs: 0 }).state;
  const { state } = advance(before, DEAD, { rules: RULES, nowMs: hour });
  assert.equal(lastWriteMs(state), hour);
  assert.equal(lastWriteMs(advance(state, DEAD, { rules: RULES, nowMs: 2 * hour }).state), hour);
});
