import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { claim, epochAt } from '../../activities/cluster/epoch.ts';
import { hasStandbySignal, removeNodeFile, STANDBY_SIGNAL, writeNodeFile } from '../../activities/cluster/files.ts';
import type { NodeUse } from '../../activities/cluster/node.ts';
import { connectionOf } from '../../activities/cluster/node.ts';
import { conninfoOf } from '../../activities/cluster/settings.ts';
import { clusterSchema } from '../../activities/config/cluster-schema.ts';
import { plainRun } from '../../activities/io/run.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { withTempDir } from '../support/temp-dir.ts';

function useOf(dataDir: string, secret = ''): NodeUse {
  const cluster = clusterSchema.parse({
    nodes: {
      one: { site: 'east', host: 'a', dataDir, address: '10.0.0.1', socket: '/run/postgresql' },
      two: { site: 'west', host: 'b', dataDir: '/srv/two', address: 'fd00::2', port: 5433 },
    },
    connection: { user: 'postgres' },
    replication: { user: "o'hara\\", ...(secret === '' ? {} : { password: { file: secret } }) },
  });
  const { planned: _none, unplanned: _neither, breakGlass } = cluster.approvals;
  const { within: withinMs, ...rule } = breakGlass;
  const node = cluster.nodes['one'];
  assert.ok(node);
  const { schedule: _never, ...drill } = cluster.drill;
  const config = { ...cluster, drill, approvals: { breakGlass: { ...rule, withinMs } } };
  return { service: 'web', name: 'one', node, cluster: config, host: 'a', run: plainRun() };
}

const refused = (type: string) => (error: unknown) => failureTypeOf(error) === type;

test('a node obeys the highest number that has touched it, and no lower one', () =>
  withTempDir(async (dir) => {
    const use = useOf(dir);
    assert.equal(await epochAt(use), 0);
    await claim(use, { epoch: 5, run: 'x' });
    await claim(use, { epoch: 5, run: 'x' });
    assert.equal(await epochAt(use), 5);
    await assert.rejects(claim(use, { epoch: 4, run: 'y' }), refused('Precondition'));
    assert.deepEqual(JSON.parse(await readFile(join(dir, 'lifeboat.epoch'), 'utf8')), {
      epoch: 5,
      run: 'x',
      service: 'web',
    });
    await claim(use, { epoch: 7, run: 'z' });
    assert.equal(await epochAt(use), 7);
    await writeFile(join(dir, 'lifeboat.epoch'), '{"epoch":"many"}');
    await assert.rejects(claim(use, { epoch: 9, run: 'w' }), refused('Integrity'));
  }));

test('files of a node are nobody else’s, and their absence is an answer', () =>
  withTempDir(async (dir) => {
    const use = useOf(dir);
    assert.equal(await hasStandbySignal(use), false);
    await writeNodeFile(use, STANDBY_SIGNAL, '');
    const [file, folder] = [await stat(join(dir, STANDBY_SIGNAL)), await stat(dir)];
    assert.deepEqual([file.mode & 0o777, file.uid], [0o600, folder.uid]);
    assert.equal(await hasStandbySignal(use), true);
    await removeNodeFile(use, STANDBY_SIGNAL);
    await removeNodeFile(use, STANDBY_SIGNAL);
    assert.equal(await hasStandbySignal(use), false);
  }));

test('how a node is reached: by its own worker, by others, and as a standby does', () =>
  withTempDir(async (dir) => {
    await writeFile(join(dir, 'secret'), "it's", { mode: 0o600 });
    const use = useOf(dir, join(dir, 'secret'));
    assert.equal(connectionOf(use).host, '/run/postgresql');
    assert.equal(connectionOf(use, true).host, '10.0.0.1');
    const conninfo = conninfoOf(use, 'two');
    assert.match(conninfo, /^host='fd00::2' port='5433' user='o\\'hara\\\\' application_name='one' /);
    assert.match(conninfo, / password='it\\'s'$/);
  }));
