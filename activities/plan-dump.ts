import { join } from 'node:path';
import type { ImportPlan, IntoDatabase } from '../workflows/model/dump.ts';
import { selectionsOf } from '../workflows/model/dump-selection.ts';
import { estimateOf } from '../workflows/model/estimate.ts';
import { failure } from '../workflows/model/failure.ts';
import type { Manifest, PointSummary } from '../workflows/model/manifest.ts';
import { summarise } from '../workflows/model/manifest.ts';
import { shortRun } from '../workflows/model/names.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import type { RestorePreview } from '../workflows/model/results.ts';
import type { Target } from '../workflows/model/target.ts';
import type { Deps } from './deps.ts';
import { isoTime } from './io/clock.ts';
import { freePort } from './io/free-port.ts';
import { measuredFor } from './measurements.ts';
import type { PlanTask } from './plan.ts';
import { findSource } from './sources/index.ts';
import type { SourceUse } from './use-source.ts';

/** Rows take this much more room with their indexes than in a dump. */
const SPACE = 1.5;
const POINTS_SHOWN = 5;

export function isDumped({ config }: SourceUse): boolean {
  return findSource(config.kind).dumps === true;
}

/** Decides which dump goes where, and what of it; nothing is touched. */
export async function planDump(deps: Deps, task: PlanTask, use: SourceUse): Promise<RestorePreview> {
  refuseStandby(task, use);
  const base = await dumpFor(use, task.point);
  const { manifest } = await use.vault.open(base.point);
  const plan = await planOf({ deps, task, use, manifest });
  await use.session.recovery.check(plan);
  return { preview: true, plan, windows: [], nearest: {}, notes: notesOf(plan, manifest) };
}

function refuseStandby({ standby, source }: PlanTask, { config }: SourceUse): void {
  if (!standby) return;
  throw failure('Unsupported', `source ${source} of kind ${config.kind} has no WAL that a standby could follow`, {
    ...{ place: 'standby', expected: 'a source of kind postgres', found: config.kind },
    hint: `lifeboat restore ${source}, without --standby`,
  });
}

async function dumpFor({ vault, name }: SourceUse, point: string | undefined): Promise<PointSummary> {
  const { points, damaged } = await vault.points();
  const dumps = points.filter((each) => each.dump !== undefined);
  const found = point === undefined ? dumps.at(-1) : dumps.find((each) => each.point === point);
  if (found) return found;
  const known = dumps.map((each) => each.point).slice(-POINTS_SHOWN);
  throw failure('NotFound', point === undefined ? `source ${name} has no dump` : `point ${point} does not exist`, {
    place: point === undefined ? `source ${name}` : `${name}/${point}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : 'at least one published dump',
    found: point ?? (damaged.length > 0 ? `${damaged.length} damaged` : 'none'),
    hint: known.length > 0 ? `lifeboat list ${name}` : `lifeboat backup ${name}`,
  });
}

interface Planning {
  deps: Deps;
  task: PlanTask;
  use: SourceUse;
  manifest: Manifest;
}

async function planOf(planning: Planning): Promise<RecoveryPlan> {
  const { deps, task, use, manifest } = planning;
  const base = summarise(manifest);
  const dump = importOf(task, manifest);
  checkPlace(task);
  const { run, source } = task;
  const into = task.into ?? join(use.session.recovery.scratch, `${source}-${shortRun(run)}`);
  const { timeline, startLsn: fromLsn, stopLsn: toLsn, startedAt: from } = base;
  return {
    ...{ run, source, host: deps.host, base, target: { kind: 'latest' }, timelineChoice: 'latest', timeline },
    ...{ action: task.action ?? 'promote', legs: [], into, port: task.port ?? (await freePort()), tablespaces: {} },
    ...{ settings: manifest.settings, dump },
    ...(task.replace && !dump.into ? { setAside: `${into}.before-${shortRun(run)}` } : {}),
    estimate: await estimateFor(planning, base),
    window: { point: base.point, timeline, fromLsn, toLsn, from },
    decidedAt: isoTime(deps.clock.nowMs()),
  };
}

function importOf(task: PlanTask, { dump }: Manifest): ImportPlan {
  const { onlyDatabase: database, onlySchema: schema, onlyTable: table, intoDatabase: name } = task;
  const { databases = [], toolMajor = 0 } = dump ?? {};
  const chosen: ImportPlan = {
    toolMajor,
    ...(database === undefined ? {} : { database }),
    ...(schema === undefined ? {} : { schema }),
    ...(table === undefined ? {} : { table }),
  };
  const selections = selectionsOf(databases, chosen);
  if (name === undefined) return chosen;
  const [first, second] = selections;
  if (!first || second) {
    throw failure('ConfigInvalid', 'one database goes into one database, and the dump has several', {
      place: 'onlyDatabase',
      expected: `one of ${databases.map((each) => each.name).join(', ')}`,
      found: 'nothing',
      hint: 'name it with --only-database',
    });
  }
  const { roles, properties } = first.database;
  return { ...chosen, into: intoOf(task, name, [...new Set([...roles, properties.owner])]) };
}

/** How a database goes into a server that runs: under a name of its own until it is proven. */
export function intoOf({ run, replace }: PlanTask, name: string, roles: string[]): IntoDatabase {
  const [temporary, aside] = [`lifeboat_${shortRun(run)}`, `${name}_before_${shortRun(run)}`];
  return { name, temporary, aside, replace: replace === true, roles };
}

const LONGEST_NAME = 63;

/** ConfigInvalid for two places at once, and for a name that leaves no room for that of what stood there. */
export function checkPlace({ intoDatabase, into, port }: PlanTask): void {
  if (intoDatabase === undefined) return;
  const other = into === undefined ? (port === undefined ? undefined : 'port') : 'into';
  if (other !== undefined) {
    throw failure('ConfigInvalid', `intoDatabase and ${other} are two places for one restore`, {
      ...{ place: other, expected: `no ${other}`, found: String(into ?? port) },
      hint: 'a database of a running server, or a cluster of its own: one of them',
    });
  }
  if (Buffer.byteLength(intoDatabase) <= LONGEST_NAME - '_before_00000000'.length) return;
  throw failure('ConfigInvalid', 'name of the new database is too long', {
    ...{ place: 'intoDatabase', expected: 'at most 47 bytes', found: intoDatabase },
    hint: 'choose a shorter one',
  });
}

async function estimateFor({ deps, use, manifest }: Planning, base: PointSummary): Promise<RecoveryPlan['estimate']> {
  const measured = await measuredFor(deps, use);
  const estimate = estimateOf([base], { legs: [], target: { kind: 'immediate' }, objects: [], measured });
  const spaceBytes = Math.max(Math.round(base.bytes * SPACE), manifest.identity.sizeBytes);
  return { ...estimate, walBytes: 0, spaceBytes };
}

function notesOf({ dump, setAside, into }: RecoveryPlan, manifest: Manifest): string[] {
  return [
    ...rolesNotes(manifest),
    ...(dump?.table === undefined && dump?.schema === undefined
      ? []
      : ['what the chosen tables refer to and was not chosen is left out, such as keys to other tables']),
    ...(dump?.into ? intoNotes(dump.into) : []),
    ...(setAside === undefined ? [] : [`what stands in ${into} is kept as ${setAside}`]),
  ];
}

function rolesNotes({ dump }: Manifest): string[] {
  if (!dump?.globals) return ['the dump has no roles: those it names are made, and cannot log in'];
  if (dump.globals.passwords) return [];
  return ['the dumping role could not read passwords: roles are restored without them'];
}

export function intoNotes({ name, temporary, aside, replace }: IntoDatabase): string[] {
  return [
    `it is restored as ${temporary}, and named ${name} when it is proven`,
    `a database ${name} that is there${replace ? '' : ' and empty'} is kept as ${aside}`,
  ];
}

/** The newest one; what was committed since it began would be lost. */
export async function chooseDump(deps: Deps, use: SourceUse): Promise<{ target: Target; rpoMs?: number }> {
  const { startedAt } = await dumpFor(use, undefined);
  const rpoMs = Math.max(0, Math.round(deps.clock.nowMs() - Date.parse(startedAt)));
  return { target: { kind: 'latest' }, rpoMs };
}
