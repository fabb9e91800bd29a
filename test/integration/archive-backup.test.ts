import assert from 'node:assert/strict';
import { chmod, copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import type { BackupResult, DrillResult, WalAnswer } from '../../workflows/model/results.ts';
import { ask, lines, until } from '../support/cli-ask.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';

test('a source that cannot stream: archive_command fills the vault, a backup waits for it, a drill proves it', async () => {
  const { walPush } = await ensureTools(['walPush'], { log: () => undefined });
  await withLifeboat(async (world) => {
    const { server } = world;
    const shared = dirname(world.scratch);
    const [helper, socket] = [join(shared, 'lifeboat-wal-push'), join(shared, 's')];
    await copyFile(walPush, helper);
    await chmod(helper, 0o755);
    await server.sql('alter system set archive_mode = on');
    await server.sql(`alter system set archive_command = '${helper} ${socket} %p'`);
    await server.stop();
    await server.start();
    const wal = `wal: { receive: archive, host: here, socket: ${socket}, socketMode: "0666", heartbeatEvery: 30s }`;
    await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', world.source('shop', [wal])].join('\n'));
    await world.startWorker();
    await server.sql('create table orders as select generate_series(1, 1000) as id');
    const { point } = await ask<{ point: BackupResult }>(world, 'backup', 'shop');
    assert.equal(point.kind, 'full');
    assert.deepEqual(await server.sql('select slot_name from pg_replication_slots'), []);
    await server.sql('insert into orders select generate_series(1001, 1500)');
    await server.sql('select pg_switch_wal()');
    const archived = await until('the vault holds what came after the backup', async () => {
      const answer = (await ask<{ wal: WalAnswer }>(world, 'wal', 'shop')).wal;
      return (answer.windows.at(-1)?.to ?? '') > point.stoppedAt ? answer : undefined;
    });
    assert.deepEqual([archived.server?.slot, archived.server?.slotState], ['archive_command', 'archiving']);
    assert.match(await lines(world, 'doctor'), /archive_command hands WAL to a worker/);
    const { result } = await ask<{ result: DrillResult }>(world, 'drill', 'shop', '--to-latest');
    assert.equal(result.restore.proof.ok, true);
    const orders = result.restore.proof.rows;
    assert.ok(orders >= 1500, `${orders} rows`);
  });
});
