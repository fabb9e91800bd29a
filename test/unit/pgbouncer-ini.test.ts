import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARKED_HOST, readMark, readTargets, withMark, withTargets } from '../../activities/switches/pgbouncer/ini.ts';

const TEXT = `; host=comment port=1
[databases]
shop = host=10.0.0.7 port=5433 dbname=shop
crm=dbname='the crm' user=crm password='it''s host=x' host='10.0.0.7'
"odd name" = host = 10.0.0.8  port = 5432
nohost = dbname=x
%include other.ini
[users]
shop = host=10.9.9.9
`;

test('where the entries lead, and nothing that only looks like one', () => {
  assert.deepEqual(
    [...readTargets(TEXT)],
    [
      ['shop', { host: '10.0.0.7', port: 5433 }],
      ['crm', { host: '10.0.0.7', port: 5432 }],
      ['odd name', { host: '10.0.0.8', port: 5432 }],
    ],
  );
});

test('entries are led elsewhere, and every other byte stays', () => {
  const led = withTargets(TEXT, ['shop', 'crm'], { host: 'fd00::9', port: 5999 });
  const wanted = TEXT.replace('shop = host=10.0.0.7 port=5433', 'shop = host=fd00::9 port=5999').replace(
    `crm=dbname='the crm' user=crm password='it''s host=x' host='10.0.0.7'`,
    `crm=port=5999 dbname='the crm' user=crm password='it''s host=x' host=fd00::9`,
  );
  assert.equal(led, wanted);
  assert.equal(readTargets(withTargets(TEXT, ['shop'], undefined)).get('shop')?.host, PARKED_HOST);
  assert.equal(withTargets(withTargets(TEXT, ['shop'], undefined), ['shop'], { host: '10.0.0.7', port: 5433 }), TEXT);
});

test('what a run has written is read again, of each switch its own', () => {
  const mark = { token: 3, moving: { from: { '10.0.0.7:5433': 100 }, to: {} } };
  const both = withMark(withMark(TEXT, 'pool', mark), 'pool-2', { token: 9 });
  assert.deepEqual(readMark(both, 'pool'), mark);
  assert.deepEqual(readMark(both, 'pool-2'), { token: 9 });
  assert.equal(readMark(TEXT, 'pool'), undefined);
  const again = withMark(both, 'pool', { token: 4 });
  assert.deepEqual([readMark(again, 'pool'), readMark(again, 'pool-2')], [{ token: 4 }, { token: 9 }]);
  assert.equal(again.split('\n').length, TEXT.split('\n').length + 2);
  assert.throws(() => readMark(';lifeboat pool {"token":', 'pool'), RangeError);
  assert.throws(() => readMark(';lifeboat pool {}', 'pool'), RangeError);
});
