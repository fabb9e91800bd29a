import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { chainsOf } from '../workflows/model/chain.ts';
import type { Choice, Wish } from '../workflows/model/choose.ts';
import { choicesFor, chooseRoute, unreachable } from '../workflows/model/choose.ts';
import { estimateOf } from '../workflows/model/estimate.ts';
import { failure } from '../workflows/model/failure.ts';
import type { FileTree, Manifest } from '../workflows/model/manifest.ts';
import { shortRun } from '../workflows/model/names.ts';
import type { RestoreOrder } from '../workflows/model/orders.ts';
import { nearestMoments, windowsOf } from '../workflows/model/reachable.ts';
import type { RecoveryPlan, TargetPlace } from '../workflows/model/recovery.ts';
import { WAL_ASIDE } from '../workflows/model/recovery.ts';
import type { RestorePreview } from '../workflows/model/results.ts';
import type { Target } from '../workflows/model/target.ts';
import { isMarkTarget } from '../workflows/model/target.ts';
import { checkStandbyOrder } from '../workflows/model/standby.ts';
import { isoOfMicros, timeMicros } from '../workflows/model/target-parse.ts';
import type { Deps } from './deps.ts';
import type { ClusterHoldings } from './holdings.ts';
import { holdingsOf } from './holdings.ts';
import { noteUse, usedUnlessRefused } from './in-use.ts';
import { isoTime } from './io/clock.ts';
import { freePort } from './io/free-port.ts';
import { measuredFor } from './measurements.ts';
import { chooseDump, isDumped, planDump } from './plan-dump.ts';
import { checkRows, partialNotes, portionOf } from './plan-partial.ts';
import { notesOfStandby, standbyOf } from './plan-standby.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { logOf } from './wal.ts';

export interface PlanTask extends RestoreOrder {
  /** Id of the run that will own the target directory. */
  run: string;
}

const MILLION = 1_000_000;
/** As many windows as a person reads, and a workflow's history carries. */
const WINDOWS_SHOWN = 50;
const POINTS_SHOWN = 5;

/** Decides what a recovery will do, from what the vault holds, on the host that will do it; nothing is touched. */
export async function planRestore(deps: Deps, task: PlanTask): Promise<RestorePreview> {
  checkStandbyOrder(task);
  return useSource(deps, task.source, async (use) => {
    const choose = (): Promise<RestorePreview> =>
      isDumped(use) ? planDump(deps, task, use) : planRecovery(deps, task, use);
    // Whatever is chosen must be there until it is read; a preview reads nothing.
    return task.preview ? choose() : usedUnlessRefused(use, { points: 'all', wal: true }, choose);
  });
}

async function planRecovery(deps: Deps, task: PlanTask, use: SourceUse): Promise<RestorePreview> {
  const holdings = await newestCluster(use, task);
  const choice = await chosen(use, holdings, {
    source: task.source,
    target: task.target ?? { kind: 'latest' },
    timeline: task.timeline ?? 'latest',
    nowMicros: deps.clock.nowMs() * 1000,
    ...(task.point === undefined ? {} : { point: task.point }),
  });
  if (!task.preview) await noteUse(use, { points: [choice.route.base.point], wal: true });
  const { manifest } = await use.vault.open(choice.route.base.point);
  const plan = await planOf({ deps, task, use, choice, holdings, manifest });
  await use.session.recovery.check(plan);
  await checkRows(use, plan, task);
  const windows = windowsOf(holdings);
  const { target } = plan;
  return {
    preview: true,
    plan,
    windows: windows.slice(-WINDOWS_SHOWN),
    nearest: target.kind === 'time' ? nearestMoments(windows, timeMicros(target.time)) : {},
    notes: notesOf(plan, holdings),
  };
}

type Chosen = Choice & { found?: TargetPlace };

/** The clock and positions say where most targets are; a transaction and a restore point are looked up in the WAL itself. */
async function chosen(use: SourceUse, holdings: ClusterHoldings, wish: Wish): Promise<Chosen> {
  const { target } = wish;
  if (!isMarkTarget(target)) return chooseRoute(holdings, wish);
  const choices = choicesFor(holdings, wish);
  const { objects, histories } = holdings;
  const routes = choices.map(({ route }) => route);
  const { hit, before } = await logOf(use).find(use.vault.wal, { target, routes, objects, histories });
  const choice = hit && choices[hit.index];
  if (choice) return { ...choice, found: hit.place };
  const seen = before.map(({ lsn, at }) => `${lsn}${at === undefined ? '' : ` (${at})`}`);
  const why =
    seen.length > 0
      ? `: it is at ${seen.join(', ')}, before the end of every base that leads there`
      : ': no WAL behind a base has it';
  throw unreachable(wish, holdings, why);
}

/** A source that was made anew under its old name has points of two clusters: the newest one counts, unless a point is named. */
async function newestCluster({ vault, name }: SourceUse, { point }: PlanTask): Promise<ClusterHoldings> {
  const { damaged, ...held } = await vault.points();
  if (held.forensic.some((each) => each.point === point)) throw evidenceOnly(name, point);
  const points = held.points.filter((each) => each.dump === undefined);
  const newest = points.find((each) => each.point === point) ?? points.at(-1);
  if (newest) return holdingsOf(vault, { systemId: newest.systemId, points });
  throw failure('NotFound', `source ${name} has no recovery point`, {
    place: `source ${name}`,
    expected: 'at least one published base backup',
    found: damaged.length > 0 ? `${damaged.length} damaged, the newest: ${damaged.at(-1)?.reason}` : 'none',
    hint: `lifeboat backup ${name}`,
  });
}

function evidenceOnly(source: string, point = ''): Error {
  return failure('Precondition', `point ${point} is a forensic copy of damaged files: nothing is restored from it`, {
    place: `${source}/${point}`,
    expected: 'a backup',
    found: 'a forensic copy',
    hint: `to look at it: lifeboat extract ${source}/${point} --all --to DIR; to restore, leave out --point`,
  });
}

interface Planning {
  deps: Deps;
  task: PlanTask;
  use: SourceUse;
  choice: Chosen;
  holdings: ClusterHoldings;
  manifest: Manifest;
}

async function planOf({ deps, task, use, choice, holdings, manifest }: Planning): Promise<RecoveryPlan> {
  const { base } = choice.route;
  const { target = { kind: 'latest' }, run } = task;
  if (task.inPlace) checkInPlace(task);
  const into = task.into ?? join(use.session.recovery.scratch, `${task.source}-${shortRun(run)}`);
  const { partial, chain } = await portionOf(use, choice.route, task);
  return {
    ...{ run, source: task.source, host: deps.host, base, target },
    ...foundIn(choice),
    ...{ timelineChoice: task.timeline ?? 'latest', timeline: choice.timeline, action: actionOf(task) },
    ...wishesOf(task),
    ...(await standbyOf({ deps, task, use, base, timeline: choice.timeline })),
    ...(partial ? { partial } : {}),
    ...(chain.length > 1 ? { chain: chain.map(({ point }) => point) } : {}),
    legs: choice.legs,
    into,
    port: task.port ?? (await freePort()),
    tablespaces: tablespacesOf(manifest.trees, task.tablespaces ?? {}, into),
    settings: manifest.settings,
    ...asideOf(task, into),
    estimate: estimateOf(chain, {
      target: stopOf(choice, target),
      ...{ legs: choice.legs, objects: holdings.objects, sizeBytes: manifest.identity.sizeBytes },
      measured: await measuredFor(deps, use),
    }),
    window: choice.window,
    decidedAt: isoTime(deps.clock.nowMs()),
  };
}

/** How what stands there is named from now on; what replaces a database leaves directories alone. */
function asideOf(task: PlanTask, into: string): Pick<RecoveryPlan, 'walAside' | 'setAside'> {
  const run = shortRun(task.run);
  return {
    ...(task.inPlace ? { walAside: join(into, `${WAL_ASIDE}${run}`) } : {}),
    ...(task.replace && task.intoDatabase === undefined ? { setAside: `${into}.before-${run}` } : {}),
  };
}

function foundIn({ found }: Chosen): { found?: TargetPlace } {
  return found ? { found } : {};
}

/** Where the replay ends, as far as it is known. */
function stopOf({ found }: Chosen, target: Target): Target {
  return found ? { kind: 'lsn', lsn: found.lsn, inclusive: true } : target;
}

/** Nothing that looks at the action alone ever promotes a standby. */
function actionOf({ action = 'promote', standby }: PlanTask): RecoveryPlan['action'] {
  return standby ? 'pause' : action;
}

/** What is taken over as it was wished for. */
function wishesOf({ listen, mustHold }: PlanTask): Pick<RecoveryPlan, 'listen' | 'mustHold'> {
  return { ...(listen === undefined ? {} : { listen }), ...(mustHold === undefined ? {} : { mustHold }) };
}

/** What is written over has to be named, and cannot be kept as well. */
function checkInPlace({ into, replace }: PlanTask): void {
  if (into !== undefined && !replace) return;
  const found = into === undefined ? 'no directory' : 'replace, which keeps what stands there';
  throw failure('ConfigInvalid', `inPlace goes with a directory and without replace`, {
    ...{ place: 'inPlace', expected: 'into, and no replace', found },
    hint: 'lifeboat restore SOURCE --in-place --into DIR',
  });
}

/** New place of every tablespace, by oid; a wish may name it by oid or by its old path. */
function tablespacesOf(trees: FileTree[], wishes: Record<string, string>, into: string): Record<string, string> {
  // One in the data directory itself has its place there.
  const spaces = trees.filter(({ id, location }) => /^\d+$/.test(id) && location !== `pg_tblspc/${id}`);
  const known = spaces.flatMap(({ id, location }) => [id, ...(location === undefined ? [] : [location])]);
  const stranger = Object.keys(wishes).find((wish) => !known.includes(wish));
  if (stranger !== undefined) {
    throw failure('ConfigInvalid', `tablespace ${stranger} is not in this backup`, {
      place: 'tablespaces',
      expected: known.length > 0 ? `one of ${known.join(', ')}` : 'none: the backup has no tablespaces',
      found: stranger,
      hint: 'lifeboat show POINT',
    });
  }
  return Object.fromEntries(
    spaces.map(({ id, location }) => [id, wishes[id] ?? wishes[location ?? ''] ?? join(`${into}.tablespaces`, id)]),
  );
}

function notesOf(plan: RecoveryPlan, { gaps, points }: ClusterHoldings): string[] {
  const notes = partialNotes(plan);
  const chainOf = chainsOf(points);
  const broken = points.filter((point) => 'broken' in chainOf(point));
  if (broken.length > 0)
    notes.push(
      `left out, because what they stand on is not there: ${broken
        .slice(-POINTS_SHOWN)
        .map(({ point }) => point)
        .join(', ')}`,
    );
  if (gaps.length > 0) notes.push(`the vault has ${gaps.length} gaps in its WAL: lifeboat wal ${plan.source}`);
  if (plan.walAside !== undefined) {
    notes.push(`in ${plan.into} whatever the backup does not have is deleted, and what differs is written over`);
    notes.push(`its WAL is kept as ${plan.walAside}; until the copy is whole no server can be started on it`);
  }
  if (plan.setAside !== undefined) notes.push(`what stands in ${plan.into} is kept as ${plan.setAside}`);
  notes.push(...notesOfStandby(plan));
  if (plan.found?.what === 'abort') notes.push('the transaction was rolled back: there is nothing of it in the copy');
  if (plan.found?.what === 'restore point')
    notes.push(
      'recovery stops at the first restore point of that name behind the base; another one is reached by --to-lsn',
    );
  return notes;
}

/** A random moment that can be reached, and how far the vault is behind the clock now. */
export function chooseDrillTarget(
  deps: Deps,
  { source }: { source: string },
): Promise<{ target: Target; rpoMs?: number }> {
  return useSource(deps, source, async (use) => {
    if (isDumped(use)) return chooseDump(deps, use);
    const holdings = await newestCluster(use, { source, run: '' });
    const windows = windowsOf(holdings).filter((window) => window.to !== undefined);
    const newest = Math.max(...windows.map((window) => timeMicros(window.to ?? window.from)));
    if (windows.length === 0) return { target: { kind: 'latest' } };
    const spans = windows.map(({ from, to = from }) => ({
      from: timeMicros(from),
      micros: timeMicros(to) - timeMicros(from),
    }));
    const total = spans.reduce((sum, span) => sum + span.micros, 0);
    let at = (randomInt(MILLION) / MILLION) * total;
    const chosen = spans.find((span) => (at -= span.micros) < 0) ?? spans[0];
    const offset = Math.floor((randomInt(MILLION) / MILLION) * (chosen?.micros ?? 0));
    const time = isoOfMicros((chosen?.from ?? newest) + offset);
    return { target: { kind: 'time', time, inclusive: true }, rpoMs: rpoMs(deps, newest) };
  });
}

function rpoMs(deps: Deps, newestMicros: number): number {
  return Math.max(0, Math.round(deps.clock.nowMs() - newestMicros / 1000));
}
