import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAlive } from '../../activities/io/postgres/server.ts';
import { placeOf } from '../../activities/sources/postgres-logical/restore/place.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { DrillResult } from '../../workflows/model/results.ts';
import { backUp, survive } from '../support/system-survival.ts';
import { until } from '../support/system-until.ts';
import { keysOf, unfinishedPoints } from '../support/system-vault.ts';
import type { System, Tenant } from '../support/system.ts';
import { recoveredIn, stopRecovered, withSystem } from '../support/system.ts';
import type { Death } from '../support/victim.ts';

const CRM = 'crm';

/** A tenant whose source is dumped. */
function dumping(system: System, name: string, source = CRM): Promise<Tenant> {
  const { binaries } = system.server;
  const more = { kind: 'postgres-logical', databases: ['postgres'], wal: undefined, dump: { binaries } };
  return system.tenant({ name, source, more });
}

async function duringDump(system: System, deaths: readonly Death[]): Promise<void> {
  const tenant = await dumping(system, 'dump', 'dump');
  const { source } = tenant;
  const { result } = await tenant.start<PointSummary>('backup', { source }, workflowId.backup(source));
  await survive(tenant, deaths, result);
  const { point, parts } = await result;
  assert.deepEqual(await unfinishedPoints(system.vault, source), []);
  const keys = await keysOf(system.vault, `${source}/points`);
  const published = keys.filter((key) => key.endsWith('/manifest')).map((key) => key.split('/')[2]);
  assert.ok(published.includes(point));
  assert.equal(keys.filter((key) => key.startsWith(`${source}/points/${point}/p`)).length, parts);
  const running = `select from pg_stat_activity where application_name in ('pg_dump', 'pg_dumpall')`;
  await until(
    'programs of dead workers to end',
    async () => (await system.server.sql(running)).length === 0 || undefined,
  );
}

type Mark = Awaited<ReturnType<System['orders']['mark']>>;

async function duringImport(system: System, deaths: readonly Death[], mark: Mark): Promise<void> {
  const name = deaths.map(({ activity }) => activity.toLowerCase()).join('-');
  const tenant = await dumping(system, name);
  const id = `${workflowId.restore(CRM)}/${name}`;
  const { result } = await tenant.start<RestoreResult>('restore', { source: CRM }, id);
  await survive(tenant, deaths, result);
  const { plan, open, proof } = await result;
  assert.ok(proof.ok, JSON.stringify(proof.checks));
  const count = await system.orders.countIn(open.port, mark, placeOf(plan).socket);
  const acknowledged = mark.acknowledged.size;
  assert.ok(acknowledged > 0);
  assert.deepEqual(count, { acknowledged, found: acknowledged, extra: 0 });
  await stopRecovered(tenant, open.dataDirectory);
}

async function duringDrill(system: System, deaths: readonly Death[]): Promise<void> {
  const tenant = await dumping(system, 'drill');
  const { result } = await tenant.start<DrillResult>('drill', { source: CRM }, workflowId.drill(CRM));
  await survive(tenant, deaths, result);
  const { restore, cleaned } = await result;
  assert.deepEqual([restore.proof.ok, cleaned], [true, true]);
  assert.deepEqual(await recoveredIn(tenant), []);
  assert.equal(isAlive(restore.open.pid), false);
}

test('a worker dies in the middle of a dump, of its restore, of its drill', { concurrency: true }, (t) =>
  withSystem(async (system) => {
    const home = await dumping(system, 'home');
    const worker = await home.startWorker();
    const mark = await system.orders.mark(system.server);
    const { dump } = await backUp(home);
    assert.deepEqual(dump?.databases, ['postgres']);
    worker.kill('SIGTERM');
    await worker.exited;
    const stories: [string, (deaths: Death[]) => Promise<void>, Death[]][] = [
      [
        'a dump',
        (deaths) => duringDump(system, deaths),
        [
          { activity: 'takeBackup', side: 'published' },
          { activity: 'publishPoint', side: 'published' },
        ],
      ],
      [
        'a restore, on its way in',
        (deaths) => duringImport(system, deaths, mark),
        [
          { activity: 'prepareTarget', side: 'after' },
          { activity: 'fetchBase', side: 'after' },
        ],
      ],
      [
        'a restore, when it is there',
        (deaths) => duringImport(system, deaths, mark),
        [
          { activity: 'openCluster', side: 'after' },
          { activity: 'finishRestore', side: 'after' },
        ],
      ],
      ['a drill', (deaths) => duringDrill(system, deaths), [{ activity: 'discardRestore', side: 'after' }]],
    ];
    await Promise.all(stories.map(([name, tell, deaths]) => t.test(name, () => tell(deaths))));
  }),
);
