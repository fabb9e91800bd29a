import { appendFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import type { Pair } from './failover-pair.ts';
import { addressIn, pairConfig, withPair } from './failover-pair.ts';
import type { FileSwitch } from './file-switch.ts';
import { fileSwitch } from './file-switch.ts';
import type { Lifeboat, WorkerProcess } from './lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from './lifeboat.ts';
import type { NetworkSites, SiteName } from './network-sites.ts';
import { networkSites } from './network-sites.ts';
import type { TestPostgres } from './postgres.ts';
import { serverIn } from './postgres.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The primary in the east, its standby in the west, and an office that looks at both, each with a worker, in networks of their own. */
export interface ThreeSites extends Pair {
  world: Lifeboat;
  sites: NetworkSites;
  lb: FileSwitch;
  /** Of the east. */
  worker: WorkerProcess;
}

/** Commits wait for the standby, which has brought that setting along. */
const SETTINGS = { listen_addresses: '*', synchronous_standby_names: '*', wal_receiver_timeout: '3s' };

export interface ThreeSitesUse {
  /** Keys of the cluster. */
  more: (sites: NetworkSites, pair: Pair) => Record<string, unknown>;
}

/** Clients, the switch and Temporal are where the test is; its links are cut for nobody who does not say so. */
export function withThreeSites(use: ThreeSitesUse, callback: (scene: ThreeSites) => Promise<void>): Promise<void> {
  return withLifeboat(async (world) => {
    await appendFile(join(world.server.dataDir, 'pg_hba.conf'), 'host all all 10.0.0.0/8 trust\nhost replication all 10.0.0.0/8 trust\n'); // prettier-ignore
    await withPair(world.server, async (pair) => {
      await using sites = await networkSites();
      await using temporal = await startTcpProxy(world.address, sites.address('root'));
      const { a, b } = await movedIn(pair, sites);
      try {
        const lb = await fileSwitch(join(world.dir, 'traffic'), { [addressIn(a)]: 100 });
        const more = use.more(sites, { a, b });
        const service = pairConfig({ a, b }, { lb, source: 'shop', hosts: ['east', 'west'], sockets: true, more });
        const connection = `connection: { host: ["${addressIn(a)}", "${addressIn(b)}"], user: postgres, database: postgres, tls: { mode: disable } }`;
        const source = world.source('shop', [connection]);
        await world.writeConfig(['name: test', LOCAL_STORE, stringify(service), 'sources:', source].join('\n'));
        const environment = { TEMPORAL_ADDRESS: temporal.address };
        const startWorker = (site: SiteName): Promise<WorkerProcess> =>
          world.startWorker(site, { enter: sites.enter(site), environment });
        const [worker] = await Promise.all([startWorker('east'), startWorker('west'), startWorker('office')]);
        await callback({ world, sites, lb, a, b, worker });
      } finally {
        await world.stopWorkers();
        await Promise.all([a.stop('immediate'), b.stop('immediate')]);
      }
    });
  });
}

/** Both servers, which were made beside the test, each in its site. */
async function movedIn(pair: Pair, sites: NetworkSites): Promise<Pair> {
  const there = (server: TestPostgres, site: SiteName): TestPostgres =>
    serverIn(dirname(server.dataDir), server, { host: sites.address(site), enter: sites.enter(site, 'server') });
  const [a, b] = [there(pair.a, 'east'), there(pair.b, 'west')];
  const from = `host=${sites.address('east')} port=${a.port} user=postgres application_name=db-b connect_timeout=2`;
  await pair.b.sql(`alter system set primary_conninfo = '${from}'`);
  for (const server of [pair.b, pair.a]) {
    for (const [name, value] of Object.entries(SETTINGS)) await server.sql(`alter system set ${name} = '${value}'`);
    await server.stop();
  }
  await a.start();
  await b.start();
  return { a, b };
}
