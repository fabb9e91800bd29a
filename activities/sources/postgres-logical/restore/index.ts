import { rm } from 'node:fs/promises';
import { failure } from '../../../../workflows/model/failure.ts';
import { selectionsOf } from '../../../../workflows/model/dump-selection.ts';
import type { FetchEvidence, OpenEvidence, RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { exclusively } from '../../../io/exclusive.ts';
import { checkPortFree } from '../../../io/postgres/host.ts';
import { importDatabase } from '../../../io/postgres/logical/import.ts';
import { runningServer, stopServer } from '../../../io/postgres/server.ts';
import type { Run } from '../../../io/run.ts';
import type { PointReader, Restoring } from '../../source.ts';
import type { LogicalOptions } from '../options.ts';
import { archivesOf } from './archive.ts';
import { FetchCount } from './count.ts';
import { dropDatabase } from '../../../io/postgres/logical/database.ts';
import { nameOf } from './destination.ts';
import { checkServer, takeName } from '../../../io/postgres/logical/into-database.ts';
import { placeOf } from './place.ts';
import { proveImport } from './prove.ts';
import { restoreRoles } from './roles.ts';
import type { Restore } from './scene.ts';
import { reach, restoreOf } from './scene.ts';
import { endImport, makeCluster, startCluster } from './scratch-server.ts';
import { checkFree, claim, ownState, removeOwn, writeState } from './state.ts';

export function createRestoring(options: LogicalOptions, run: Run): Restoring {
  // An attempt that is late would write into what its successor has made anew.
  const alone = <T>(plan: RecoveryPlan, step: (use: Restore) => Promise<T>): Promise<T> =>
    exclusively(plan.into, run, async () => step(await restoreOf(plan, options, run)));
  return {
    scratch: options.restore.scratch,
    check: async (plan) => check(await restoreOf(plan, options, run)),
    prepare: (plan) => alone(plan, prepare),
    fetch: (plan, reader) => alone(plan, (use) => fetch(use, reader)),
    open: (plan) => alone(plan, open),
    prove: async (plan, _replay, from) => {
      if (!from) throw failure('Bug', 'a dump is proven against its manifest', { place: plan.into });
      return proveImport(await restoreOf(plan, options, run), await from());
    },
    finish: (plan) => alone(plan, finish),
    discard: (plan) => alone(plan, discard),
    dropBrought: (plan) => alone(plan, dropBrought),
  };
}

async function check(use: Restore): Promise<void> {
  const { plan } = use;
  await checkFree(plan);
  if (plan.dump?.into) await checkServer(await reach(use), plan.dump.into);
  else await checkPortFree(plan.port);
}

async function prepare(use: Restore): Promise<void> {
  await claim(use.plan, use.as);
  if (use.plan.dump?.into) return;
  await makeCluster(use);
  await startCluster(use);
}

async function fetch(use: Restore, reader: PointReader): Promise<FetchEvidence> {
  const { plan, run } = use;
  const { dump } = reader.manifest;
  if (!plan.dump?.into) await startCluster(use);
  const to = await reach(use);
  const count = new FetchCount(run, plan.estimate.fetchBytes);
  const archives = { reader, count };
  if (!plan.dump?.into) await restoreRoles(use, to, archives);
  const selections = selectionsOf(dump?.databases ?? [], plan.dump ?? { toolMajor: 0 });
  let [files, resumed] = [0, 0];
  for (const selection of selections) {
    const { database } = selection;
    files += 1 + database.dataFiles.length;
    const state = await ownState(plan);
    if (state.databases.includes(database.name)) {
      resumed += partsOf(reader, [database.schemaFile, ...database.dataFiles]);
      continue;
    }
    const { jobs } = use.options.restore;
    const from = archivesOf(use, archives, selection);
    await importDatabase({ ...use, jobs, to, archives: from, name: nameOf(plan, database), selection });
    await writeState(placeOf(plan), { ...state, databases: [...state.databases, database.name] });
  }
  return count.evidence({ files, resumed });
}

function partsOf({ manifest }: PointReader, paths: readonly string[]): number {
  const files = manifest.trees.flatMap((tree) => tree.files).filter(({ path }) => paths.includes(path));
  return files.reduce((sum, { slices = [] }) => sum + slices.length, 0);
}

async function open(use: Restore): Promise<OpenEvidence> {
  const { plan } = use;
  const { into } = plan.dump ?? {};
  if (!into) await startCluster(use);
  const { connection } = await reach(use);
  const { timeline } = plan.base;
  if (into) {
    const { host, port } = connection;
    return { host, port, dataDirectory: `database ${into.name}`, pid: 0, state: 'open', timeline };
  }
  const pid = (await runningServer(plan.into)) ?? 0;
  return { host: '127.0.0.1', port: plan.port, dataDirectory: plan.into, pid, state: 'open', timeline: 1 };
}

async function finish(use: Restore): Promise<void> {
  const { plan, run } = use;
  const { into } = plan.dump ?? {};
  if (into) {
    await takeName(await reach(use), into);
    return removeOwn(plan, () => Promise.resolve());
  }
  await endImport(use);
  await rm(placeOf(plan).archives, { recursive: true, force: true });
  if (plan.action === 'shutdown') await stopServer(plan.into, run);
}

async function dropBrought(use: Restore): Promise<void> {
  const { into } = use.plan.dump ?? {};
  if (into) await dropDatabase(await reach(use), into.temporary);
}

/** Removes what this run made here, and nothing else. */
async function discard({ plan, run }: Restore): Promise<void> {
  await removeOwn(plan, () => (plan.dump?.into ? Promise.resolve() : stopServer(plan.into, run, 'immediate')));
}
