import { join } from 'node:path';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import { loadKeyRing, newKeysIn, openVault } from '../../activities/vault/index.ts';
import type { FetchOrders } from './fetching.ts';

/** Fetches the base of a plan and says each thing it does, so that it can be killed there. Usage: ORDERS (JSON of FetchOrders). */
const orders = JSON.parse(process.argv[2] ?? '') as FetchOrders;
const run = plainRun({ progress: ({ phase }) => process.stdout.write(`${phase}\n`) });
const paths = newKeysIn(orders.keyDir);
const keys = await loadKeyRing({
  ...{ root: paths.root, recoveryPublic: paths.recoveryPublic, signing: paths.signing, trusted: [] },
});
await using store = await filesystemStore.open({ path: join(orders.store) }, run);
const made = { compressionLevel: 3, partBytes: 1 << 20, parallel: 3, tool: 'test' };
await using vault = await openVault(store, { source: 'shop', keys, ...made }, run);
const recovery = createRecovery('shop', postgresSchema.parse(orders.options), run);
const evidence = await recovery.fetch(orders.plan, await vault.open(orders.plan.base.point));
process.stdout.write(`done ${JSON.stringify(evidence)}\n`);
