import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SWITCHES } from '../../activities/switches/index.ts';
import type { MoveWords } from '../../workflows/model/service.ts';

const region = 'eu-west-1';
const zone = 'Z0123456789ABCDEFGHIJ';
const SECRET = { env: 'LIFEBOAT_TEST_WORDS' };
const key = { name: 'lifeboat', secret: SECRET };

/** Options of a user's, and what is said of them. */
const CASES: [kind: string, options: Record<string, unknown>, words: Partial<MoveWords>][] = [
  ['command', { run: ['/etc/lifeboat/move'] }, { place: '/etc/lifeboat/move' }],
  ['http', { url: 'https://lb.example.org/token-1' }, { place: 'https://lb.example.org' }],
  [
    'ecs',
    { sites: { west: { region, cluster: 'shop', service: 'web', desired: 6, minimum: 4, standby: 1 } } },
    {
      up: { west: '6 tasks of web of shop in eu-west-1, 4 are enough' },
      down: { west: '1 tasks of web of shop in eu-west-1' },
    },
  ],
  [
    'kubernetes',
    { way: 'scale', sites: { east: { deployment: 'web', replicas: 3 }, west: { statefulSet: 'db', replicas: 2, minimum: 1 } } }, // prettier-ignore
    {
      up: { east: '3 pods of Deployment web', west: '2 pods of StatefulSet db, 1 are enough' },
      down: { east: '0 pods of Deployment web', west: '0 pods of StatefulSet db' },
    },
  ],
  [
    'kubernetes',
    { way: 'selector', service: 'db', sites: { west: { labels: { app: 'db', site: 'west' } } } },
    { stopped: 'db selects no pod', up: { west: 'db selects app=db, site=west' } },
  ],
  ['kubernetes', { way: 'endpoints', endpointSlice: 'db-outside', port: 5432 }, { stopped: 'it has no addresses' }],
  [
    'ssm',
    { parameter: '/shop/active', region, sites: ['east', 'west'] },
    {
      stopped: '/shop/active says none',
      up: { east: '/shop/active says east', west: '/shop/active says west' },
    },
  ],
  ['route53', { zone, record: 'db.example.org', port: 5432 }, { stopped: 'db.example.org says 192.0.2.1' }],
  [
    'route53',
    { zone, record: 'w.example.org', sites: { east: { value: '10.0.0.1' }, west: { alias: { name: 'lb.example.org', zone } } } }, // prettier-ignore
    { up: { east: 'w.example.org A says 10.0.0.1', west: 'w.example.org A stands for lb.example.org' } },
  ],
  [
    'rfc2136',
    { server: '10.0.0.53', zone: 'example.org', name: 'db.example.org', key, resolvers: ['10.0.0.2'] },
    { place: 'db.example.org A at 10.0.0.53', stopped: 'db.example.org is taken away' },
  ],
  [
    'rfc2136',
    { server: '10.0.0.53', zone: 'example.org', name: 'db.example.org', key, resolvers: ['10.0.0.2'], parked: '192.0.2.1' }, // prettier-ignore
    { stopped: 'db.example.org says 192.0.2.1' },
  ],
  [
    'pgbouncer',
    { console: { host: '10.0.0.3', user: 'lifeboat', password: SECRET }, databases: ['shop'], file: '/etc/pgbouncer/shop.ini' }, // prettier-ignore
    { stopped: 'its clients wait; transactions have 10s to end, then who is in a transaction is cut off' },
  ],
  [
    'rds',
    { way: 'aurora', region, cluster: 'crm', sites: { east: { instance: 'crm-a' }, west: { instance: 'crm-b' } } },
    { up: { east: 'crm-a becomes the writer of crm', west: 'crm-b becomes the writer of crm' } },
  ],
  [
    'rds',
    { way: 'replica', region, sites: { east: { instance: 'crm-a' }, west: { instance: 'crm-b' } } },
    { up: { east: 'crm-a is promoted, for good', west: 'crm-b is promoted, for good' } },
  ],
];

test('every kind of switch says in words what its moves do, and no secret', () => {
  process.env['LIFEBOAT_TEST_WORDS'] = 'c2VjcmV0IG9mIHRoZSB0ZXN0';
  for (const [kind, options, expected] of CASES) {
    const found = SWITCHES.find((each) => each.kind === kind)?.words(options);
    assert.deepEqual({ ...found, ...expected }, found, kind);
    assert.doesNotMatch(JSON.stringify(found), /token-1|c2VjcmV0|LIFEBOAT_TEST/);
  }
  assert.deepEqual([...new Set(CASES.map(([kind]) => kind))].toSorted(), SWITCHES.map(({ kind }) => kind).toSorted()); // prettier-ignore
});
