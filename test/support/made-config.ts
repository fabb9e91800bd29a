import type { Config } from '../../activities/config/index.ts';
import type { Activities } from '../../activities/index.ts';
import { createActivities } from '../../activities/index.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { TestVault } from './vault.ts';

/** Options of a source of kind postgres, as its schema takes them. */
type SourceOptions = Record<string, unknown>;

/** One source, `shop`, whose vault is a folder; nobody has to be there. */
export function configOf(
  root: string,
  options: SourceOptions = { connection: { host: 'db', user: 'lifeboat' } },
): Config {
  const shop: Config['sources'][string] = {
    ...{ kind: 'postgres', store: 'local', options },
    backup: { level: 3, checkpoint: 'fast', partBytes: 1 << 20, parallel: 2, chainLimit: 14 },
    wal: {
      ...{ slot: 'lifeboat_shop', shipEveryMs: 500, synchronous: false, heartbeatEveryMs: 0 },
      ...{ spoolBytes: 1 << 20, newBaseAfterHole: true },
    },
    ...{ schedule: {}, objectives: {}, notify: [] },
  };
  return {
    ...{ path: 'lifeboat.yml', name: 'test', temporal: { address: '', namespace: '' } },
    keys: { root: { file: '' }, signing: { file: '' }, trusted: [] },
    stores: { local: { kind: 'filesystem', options: { path: root } } },
    ...{ notifiers: {}, switches: {}, services: {}, sources: { shop } },
  };
}

/** Activities as a worker of that configuration has them. */
export function activitiesOf({ root, keys }: Pick<TestVault, 'root' | 'keys'>, options?: SourceOptions): Activities {
  const { clock, log } = plainRun();
  return createActivities({
    ...{ config: configOf(root, options), host: 'db1', tool: 'test', clock, log, searchAttributes: false },
    loadKeys: () => Promise.resolve(keys),
  });
}
