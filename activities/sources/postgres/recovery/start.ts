import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyFileName } from '../../../../workflows/model/timeline.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import type { Host } from '../../../io/postgres/host.ts';
import type { Place } from './place.ts';
import { restoreCommandScript } from './restore-command.ts';
import { launchServer, removeStalePid, runningServer } from '../../../io/postgres/server.ts';
import { SERVER_LOG } from './server-log.ts';
import { writeRecoverySettings } from './settings.ts';

export interface Replaying {
  plan: RecoveryPlan;
  host: Host;
  options: PostgresOptions;
  wal: WalVault;
  run: Run;
}

/** For the time when nobody serves the server any more. */
export async function keepHistories(use: Replaying, place: Place): Promise<void> {
  const { plan, wal, host } = use;
  const { systemId } = plan.base;
  await mkdir(place.histories, { recursive: true, mode: 0o755 });
  for (const { timeline } of await wal.histories(systemId)) {
    const content = await wal.readHistory(systemId, timeline);
    if (content) await writeOwned(join(place.histories, historyFileName(timeline)), content, host);
  }
}

/** The server as we know it: the process id while its pid file is not written yet. */
export interface Launched {
  pid?: number;
}

export async function startUnlessRunning(use: Replaying, place: Place): Promise<Launched> {
  const pid = await runningServer(place.data);
  return { pid: pid ?? (await start(use, place)) };
}

/** What tells the server that it is to recover: to an end, or as a standby for ever. */
const SIGNALS = { recovers: 'recovery.signal', follows: 'standby.signal' };

/** Starts the server anew; where it recovers once more, what it said of an earlier try is no evidence. */
export async function start(use: Replaying, place: Place): Promise<number> {
  const { plan, host, options } = use;
  await writeOwned(
    place.restoreCommand,
    restoreCommandScript(place.spool, { isStandby: plan.standby !== undefined }),
    host,
  );
  await writeRecoverySettings({ plan, place, host, options, segmentBytes: plan.base.segmentBytes });
  const { recovers, follows } = SIGNALS;
  const signal = join(place.data, plan.standby ? follows : recovers);
  // Present until the recovery has ended: its absence on a data directory that once had it means "recovered".
  if (!existsSync(place.begun)) {
    await writeOwned(signal, '', host);
    // From a backup that was taken of a standby; it would outrank ours.
    await rm(join(place.data, plan.standby ? recovers : follows), { force: true });
    await writeOwned(place.begun, '', host);
  }
  await rm(join(place.log, 'stderr'), { force: true });
  if (existsSync(signal)) await setLogAside(place);
  await removeStalePid(place.data);
  return launchServer(place, host);
}

/** Each of them is kept: pages that were passed over are told once, by whichever server replayed the record. */
async function setLogAside({ log }: Place): Promise<void> {
  const names = await readdir(log);
  if (!names.includes(SERVER_LOG)) return;
  const earlier = names.filter((name) => name.startsWith(`${SERVER_LOG}.`)).length;
  await rename(join(log, SERVER_LOG), join(log, `${SERVER_LOG}.${earlier + 1}`));
}

async function writeOwned(path: string, content: string | Buffer, host: Host): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o700);
  if (host.as) await chown(path, host.as.uid, host.as.gid);
}
