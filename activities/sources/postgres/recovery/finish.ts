import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { query } from '../../../io/postgres/connection.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { Run } from '../../../io/run.ts';
import type { PostgresOptions } from '../options.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { placeOf } from './place.ts';
import { removeTarget } from './prepare.ts';
import { runningServer, stopServer } from '../../../io/postgres/server.ts';
import { withRecovered } from './session.ts';
import { ASK_AGAIN_SCRIPT, detachedCommandScript } from './restore-command.ts';
import { clearRecoverySettings } from './settings.ts';
import { replaceFile } from './settings-file.ts';

export interface Finishing {
  plan: RecoveryPlan;
  host: Host;
  options: PostgresOptions;
  run: Run;
}

/** Leaves a cluster that restarts as any other: without the settings of its recovery, still isolated from its source. */
export async function finishRestore(use: Finishing): Promise<void> {
  const { plan, host, options, run } = use;
  const place = placeOf(plan);
  if (plan.action === 'shutdown') await stopServer(place.data, run);
  // A server that waits at its target must find it again when it is restarted, and be able to leave it.
  const waits = existsSync(join(place.data, 'recovery.signal'));
  if (waits) await replaceFile(place.restoreCommand, host, detachedCommandScript(place.histories), 0o700);
  if (plan.standby) await replaceFile(place.restoreCommand, host, ASK_AGAIN_SCRIPT, 0o700);
  await rm(place.spool, { recursive: true, force: true, maxRetries: 5 });
  if (waits) return;
  await clearRecoverySettings({ plan, place, host, options, segmentBytes: plan.base.segmentBytes });
  if ((await runningServer(place.data)) !== undefined) {
    await withRecovered(plan, {}, (client) => query(client, 'select pg_reload_conf()'));
  }
}

/** Stops our server and removes what this run made; a directory that is not this run's is left alone. */
export async function discardRestore(plan: RecoveryPlan, run: Run): Promise<void> {
  await removeTarget(plan, () => stopServer(plan.into, run, 'immediate'));
}
