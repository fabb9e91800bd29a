import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Pair } from './failover-pair.ts';
import { addressIn, pairConfig, withPair, withThird } from './failover-pair.ts';
import type { FileSwitch } from './file-switch.ts';
import { fileSwitch } from './file-switch.ts';
import type { Lifeboat } from './lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from './lifeboat.ts';
import type { TestPostgres } from './postgres.ts';
import { withPostgres } from './postgres.ts';

export interface FailoverScene extends Pair {
  world: Lifeboat;
  lb: FileSwitch;
}

/** A service on two servers, each with a worker of its own. */
export async function withFailoverScene(
  use: { version: 15 | 18; more?: Record<string, unknown>; checks?: object[]; commands?: true; third?: true },
  callback: (scene: FailoverScene) => Promise<void>,
): Promise<void> {
  const { version, ...own } = use;
  await withLifeboat(async (world) => {
    const onServers = (pair: Pair, callback: (pair: Pair) => Promise<void>): Promise<void> =>
      use.third ? withThird(pair, callback) : callback(pair);
    const onPair = (primary: TestPostgres): Promise<void> =>
      withPair(primary, (two) =>
        onServers(two, async (pair) => {
          const lb = await fileSwitch(join(world.dir, 'traffic'), { [addressIn(pair.a)]: 100 });
          const service = pairConfig(pair, { lb, source: 'shop', hosts: ['a', 'b'], ...own });
          const [here, there] = [pair.a, pair.b].map(addressIn);
          const connection = `connection: { host: ["${here}", "${there}"], user: postgres, database: postgres }`;
          const source = world.source('shop', [connection]);
          await world.writeConfig(['name: test', LOCAL_STORE, stringify(service), 'sources:', source].join('\n'));
          await world.startWorker('a');
          await world.startWorker('b');
          await callback({ ...pair, world, lb });
        }),
      );
    if (version === 18) return onPair(world.server);
    return withPostgres({ version, settings: { full_page_writes: 'on' } }, onPair);
  });
}
