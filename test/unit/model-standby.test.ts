import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingLine } from '../../activities/io/postgres/setting-line.ts';
import { onHistory } from '../../activities/sources/postgres/wal/on-history.ts';
import { restoreCommandOf } from '../../activities/sources/postgres/recovery/standby/settings.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { RestoreOrder } from '../../workflows/model/orders.ts';
import type { StandbyEvidence } from '../../workflows/model/standby.ts';
import { checkStandbyOrder, provenToFollow } from '../../workflows/model/standby.ts';
import { sampleResult } from '../support/sample-report.ts';

test('orders of a standby: what cannot go together is refused, and names what is wrong', () => {
  const good: Partial<RestoreOrder>[] = [
    {},
    { target: { kind: 'immediate' }, action: 'pause', listen: '*' },
    { standby: true },
    { standby: true, target: { kind: 'latest' }, timeline: 'latest', slot: 'db_2', inPlace: true, into: '/srv/x' },
    ...['db1', 'db1:5433', '[::1]:5433', '/run/postgresql'].map((fromServer) => ({ standby: true, fromServer })),
    { standby: true, follow: 'archive', point: 'p1' },
  ];
  for (const order of good) assert.doesNotThrow(() => checkStandbyOrder({ source: 'shop', ...order }));
  const bad: [order: Partial<RestoreOrder>, place: string, says: RegExp][] = [
    [{ follow: 'archive' }, 'follow', /^follow goes with standby/],
    [{ fromServer: 'db1' }, 'fromServer', /^fromServer goes with standby/],
    [{ slot: 'x', standby: false }, 'slot', /^slot goes with standby/],
    [{ standby: true, target: { kind: 'immediate' } }, 'target', /no other end/],
    [{ standby: true, action: 'promote' }, 'action', /no other end/],
    [{ standby: true, timeline: 'current' }, 'timeline', /no other end/],
    [{ standby: true, onlyDatabase: 'crm' }, 'onlyDatabase', /the whole cluster/],
    [{ standby: true, timeline: 2 }, 'timeline', /no other end/],
    [{ standby: true, follow: 'archive', fromServer: 'db1' }, 'fromServer', /streams from no server/],
    [{ standby: true, follow: 'archive', slot: 'x' }, 'slot', /streams from no server/],
    ...['db1:port', 'db1,db2', 'a b', '', ':5432'].map((fromServer): [Partial<RestoreOrder>, string, RegExp] => [
      { standby: true, fromServer },
      'fromServer',
      /is no server/,
    ]),
    [{ standby: true, slot: 'Slot-1' }, 'slot', /no name of one/],
  ];
  for (const [order, place, says] of bad) {
    assert.throws(
      () => checkStandbyOrder({ source: 'shop', ...order }),
      (error) => {
        assert.equal(failureTypeOf(error), 'ConfigInvalid');
        assert.equal(failureFacts(error).place, place);
        assert.match(String((error as Error).message), says);
        return true;
      },
      JSON.stringify(order),
    );
  }
});

test('a standby is proven when it is seen to follow, and only then', () => {
  const { plan, proof } = sampleResult();
  assert.equal(provenToFollow(proof, plan, undefined), proof);
  const standby = { follow: 'streaming', primary: { host: 'db2', port: 5432 }, slot: 's', fetch: ['x'] } as const;
  const follower = { ...plan, standby: { ...standby, fetch: [...standby.fetch] } };
  const seen: StandbyEvidence = {
    ...{ follow: 'streaming', primary: 'db2:5432', systemId: plan.base.systemId, timeline: 2, fetched: 'file' },
    ...{ markerLsn: '0/5000000', replayedLsn: '0/5000000' },
    receiver: { status: 'streaming', timeline: 2, slot: 's' },
  };
  assert.equal(provenToFollow(proof, follower, seen).ok, true);
  const { receiver: _, ...unheard } = seen;
  const bad: [string, StandbyEvidence | undefined][] = [
    ['follows', undefined],
    ['replay passes a marker', { ...seen, replayedLsn: '0/4FFFFFF' }],
    ['system identifier', { ...seen, systemId: '1' }],
    ['restore_command', { ...seen, fetched: '' }],
    ['streams from its primary', unheard],
    ['streams from its primary', { ...seen, receiver: { status: 'waiting', timeline: 2, slot: 's' } }],
    ['streams from its primary', { ...seen, receiver: { status: 'streaming', timeline: 1, slot: 's' } }],
    ['streams from its primary', { ...seen, receiver: { status: 'streaming', timeline: 2 } }],
  ];
  for (const [name, evidence] of bad) {
    const { ok, checks } = provenToFollow(proof, follower, evidence);
    assert.equal(ok, false, name);
    assert.deepEqual(
      checks.filter((check) => !check.ok).map((check) => check.name),
      [name],
    );
  }
});

test('restore_command: words are quoted for the shell, percent signs for the server', () => {
  const words = ['/opt/li fe/boat.sh', 'wal-fetch', '%f', '%p', '--config', "/etc/50%/it's.yml"];
  assert.equal(restoreCommandOf(words), `'/opt/li fe/boat.sh' wal-fetch "%f" "%p" --config '/etc/50%%/it'\\''s.yml'`);
});

test('settings: quotes and backslashes come to the server as they are', () => {
  const value = String.raw`'/it'\''s a\place' "%f"`;
  const line = settingLine('restore_command', value);
  assert.equal(line, String.raw`restore_command = '''/it''\\''''s a\\place'' "%f"'`);
});

test('WAL that a timeline holds behind the point where it was left is not there for who left it', async () => {
  const objects = [
    ['1', '0/1000000', '0/2000000'],
    ['1', '0/2000000', '0/3000000'],
    ['1', '0/3000000', '0/4000000'],
    ['3', '0/2800000', '0/3000000'],
  ].map(([timeline, startLsn = '', endLsn = '']) => ({
    ...{ systemId: 's', timeline: Number(timeline), startLsn, endLsn, key: startLsn, storedBytes: 1 },
  }));
  const wal = {
    list: async () => objects,
    read: async ({ startLsn, endLsn }: { startLsn: string; endLsn: string }) => {
      assert.ok(
        objects.some((each) => each.startLsn === startLsn && each.endLsn === endLsn),
        'not as it is stored',
      );
      return Buffer.alloc(1 << 24, 1);
    },
  } as unknown as WalVault;
  const view = onHistory(wal, { timeline: 2, ancestors: [{ timeline: 1, switchLsn: '0/2800000', reason: '' }] });
  const seen = await view.list({ systemId: 's' });
  assert.deepEqual(
    seen.map(({ timeline, startLsn, endLsn }) => [timeline, startLsn, endLsn]),
    [
      [1, '0/1000000', '0/2000000'],
      [1, '0/2000000', '0/2800000'],
      [3, '0/2800000', '0/3000000'],
    ],
  );
  const lengths = await Promise.all(seen.slice(0, 2).map(async (object) => (await view.read(object)).length));
  assert.deepEqual(lengths, [1 << 24, 1 << 23]);
});
