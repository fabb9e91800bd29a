import { failure, findFailure, isFailure } from '../workflows/model/failure.ts';
import type { RtoForecast } from '../workflows/model/forecast.ts';
import type { BackupResult } from '../workflows/model/results.ts';
import type { Lsn } from '../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../workflows/model/lsn.ts';
import type { PointKind, PointSummary } from '../workflows/model/manifest.ts';
import { summarise } from '../workflows/model/manifest.ts';
import type { BackupOrder } from '../workflows/model/orders.ts';
import { chooseParent } from '../workflows/model/parent.ts';
import { leftAt } from '../workflows/model/timeline.ts';
import type { OtherClusterEvidence } from '../workflows/model/wal-hole.ts';
import type { WalRange } from '../workflows/model/wal.ts';
import { gapsOf, rangeHolding, rangesOf } from '../workflows/model/wal-coverage.ts';
import { attempt } from './activity-run.ts';
import type { Deps } from './deps.ts';
import { forecastRecovery } from './measurements.ts';
import { findSource } from './sources/index.ts';
import type { BackupOptions, SourceSession } from './sources/source.ts';
import type { SourceUse } from './use-source.ts';
import { fromOf, useSource, wantsIncrements } from './use-source.ts';
import type { Vault } from './vault/vault.ts';
import { logOf } from './wal.ts';

export interface BackupTask extends BackupOrder {
  /** Every point of this run begins with it; each attempt has a name of its own, because an old one may still write. */
  prefix: string;
}

const LOOK_MS = 250;
/** Histories are read whole: not at every look. */
const LOOKS_AT_HISTORIES = 20;

/**
 * Fails with every reason at once when the source cannot be backed up, its store or keys cannot be used, or the vault has
 * another cluster under this name. It may make this month's key; nothing else is written.
 */
export function checkBackup(deps: Deps, { source, prefix }: { source: string; prefix: string }): Promise<void> {
  return useSource(deps, source, async (use) => {
    const identity = await use.session.identity();
    refuse(
      source,
      await use.session.check({ archive: use.config.wal.archive !== undefined, from: fromOf(use.config) }),
    );
    const { points } = await use.vault.points();
    const newest = points.at(-1);
    if (newest) checkForm(use, newest);
    const known = newest?.systemId;
    if (known !== undefined && known !== identity.systemId) throw otherCluster(source, known, identity.systemId);
    await using draft = await use.vault.begin(`${prefix}-0`);
    void draft;
  });
}

/** Points of both kinds under one name would be taken for each other by whoever reads the list. */
function checkForm({ name, config }: SourceUse, newest: PointSummary): void {
  const dumps = findSource(config.kind).dumps === true;
  if (dumps === (newest.dump !== undefined)) return;
  throw failure('Precondition', `source ${name} of kind ${config.kind} has points of another kind in its vault`, {
    place: `source ${name}`,
    expected: dumps ? 'dumps' : 'base backups',
    found: newest.dump ? 'dumps' : 'base backups',
    hint: 'give it a name of its own in lifeboat.yml; the old points stay restorable under the old one',
  });
}

function refuse(source: string, checks: Awaited<ReturnType<SourceSession['check']>>): void {
  const bad = checks.filter((check) => !check.ok && !check.backupGoesOn);
  if (bad.length === 0) return;
  throw failure('Precondition', `source ${source} cannot be backed up: ${bad.map((check) => check.found).join('; ')}`, {
    place: `source ${source}`,
    expected: bad.map((check) => check.name).join('; '),
    found: bad.map((check) => check.found).join('; '),
    hint: bad.map((check) => check.hint ?? 'lifeboat doctor').join('; '),
  });
}

function otherCluster(source: string, expected: string, found: string): Error {
  return failure('Precondition', `source ${source} is another cluster than the one in its vault`, {
    place: `source ${source}`,
    expected: `system identifier ${expected}`,
    found: `system identifier ${found}`,
    hint: `give the new cluster a source of its own, or a store with another prefix, and end the stream of this name: lifeboat cancel wal/${source}; the old points stay restorable`,
    evidence: { otherCluster: { expected, found } } satisfies OtherClusterEvidence,
  });
}

/** Takes a base backup, or what changed since another point, into parts and a draft manifest. Nothing is visible until `publishPoint`. */
export function takeBackup(deps: Deps, task: BackupTask): Promise<PointSummary> {
  return useSource(deps, task.source, async ({ session, vault, config }) => {
    const point = `${task.prefix}-${attempt()}`;
    // What an attempt left that failed: the store may have no room for two.
    if (attempt() > 1) await vault.discard(`${task.prefix}-`, point);
    await using draft = await vault.begin(point);
    const parent = await parentFor(vault, { kind: task.type ?? 'full', chainLimit: config.backup.chainLimit });
    const facts = await session.backup(draft, {
      checkpoint: task.checkpoint ?? config.backup.checkpoint,
      label: task.label ?? `lifeboat ${task.source}`,
      ...(config.backup.from === undefined ? {} : { from: config.backup.from }),
      ...(config.backup.standbyWaitMs === undefined ? {} : { standbyWaitMs: config.backup.standbyWaitMs }),
      ...(config.backup.maxRateBytes === undefined ? {} : { maxRateBytes: config.backup.maxRateBytes }),
      ...('since' in parent ? { since: parent.since } : {}),
      increments: wantsIncrements(config) || (task.type ?? 'full') !== 'full',
      newestTimeline: (systemId) => newestTimeline(vault, systemId),
    });
    const fallback = 'fallback' in parent ? { fallback: parent.fallback } : {};
    return summarise(await draft.finish({ ...facts, ...fallback }));
  });
}

/** Where the stream has gone; undefined on the first timeline, which has no history. */
async function newestTimeline({ wal }: Vault, systemId: string): Promise<number | undefined> {
  const known = (await wal.histories(systemId)).map(({ timeline }) => timeline).sort((a, b) => b - a);
  for (const timeline of known) if ((await wal.list({ systemId, timeline })).length > 0) return timeline;
  return undefined;
}

type Parent = Pick<BackupOptions, 'since'> | { fallback: string };

/** What a backup of this kind stands on, once every part that it will need is known to be stored; or why it cannot be had. */
async function parentFor(vault: Vault, { kind, chainLimit }: { kind: PointKind; chainLimit: number }): Promise<Parent> {
  if (kind === 'full') return {};
  const chosen = chooseParent(await vault.points(), { kind, chainLimit });
  if ('fallback' in chosen) return chosen;
  try {
    for (const { point } of chosen.chain) await vault.checkStored(point);
    return { since: { kind, parent: await vault.open(chosen.chain.at(-1)?.point ?? '') } };
  } catch (error) {
    if (!isFailure(error, 'Integrity') && !isFailure(error, 'NotFound')) throw error;
    return { fallback: findFailure(error)?.message ?? String(error) };
  }
}

export type NeededWal = Pick<PointSummary, 'systemId' | 'timeline' | 'startLsn' | 'stopLsn'>;

/** Returns when the vault holds the WAL that makes a backup consistent. Integrity when it never can. */
export function awaitWal(deps: Deps, { source, need }: { source: string; need: NeededWal }): Promise<void> {
  return useSource(deps, source, async (use) => {
    const { run } = use;
    for (let looks = 0; ; looks++) {
      // Before the ranges: what was shipped of a timeline that was left is counted.
      const fork = looks % LOOKS_AT_HISTORIES === 0 ? await forkBefore(use, need) : undefined;
      const ranges = await rangesFor(use, need);
      const { timeline, startLsn, stopLsn } = need;
      if (rangeHolding(ranges, timeline, { from: startLsn, to: stopLsn })) return;
      if (fork !== undefined) throw leftBehind(source, need, fork);
      const hole = firstHole(ranges, need);
      if (hole && (await isLost(use, { need, hole }))) throw lost(source, need, hole);
      const have = ranges.at(-1)?.endLsn ?? 'none';
      run.progress({ phase: 'waiting for WAL', note: `vault has WAL up to ${have}, needs ${stopLsn}` });
      await run.clock.sleep(LOOK_MS, run.signal);
    }
  });
}

async function rangesFor({ vault }: SourceUse, { systemId, timeline, startLsn }: NeededWal): Promise<WalRange[]> {
  const ranges = rangesOf(await vault.wal.list({ systemId, fromLsn: startLsn }));
  return ranges.filter((range) => range.timeline === timeline);
}

/** Where the stream has left the timeline of a backup before its end: it never goes back, so that the rest never comes. */
async function forkBefore({ vault }: SourceUse, { systemId, timeline, stopLsn }: NeededWal): Promise<Lsn | undefined> {
  const forks = (await vault.wal.histories(systemId)).map((history) => leftAt(history, timeline));
  return forks.find((fork) => fork !== undefined && compareLsn(fork, stopLsn) < 0);
}

function leftBehind(source: string, { timeline, startLsn, stopLsn }: NeededWal, fork: Lsn): Error {
  return failure('Integrity', `timeline ${timeline} of ${source} was left at ${fork}, the backup ends at ${stopLsn}`, {
    place: `source ${source}, timeline ${timeline}`,
    expected: `WAL from ${startLsn} to ${stopLsn}`,
    found: `a newer timeline, which goes on from ${fork}`,
    hint: `this backup is dropped, take a new one: lifeboat backup ${source}; stop the old primary, or make it a standby of the new one`,
  });
}

interface Hole {
  fromLsn: Lsn;
  toLsn: Lsn;
}

/** What is missing although WAL behind it is there. */
function firstHole(ranges: WalRange[], { startLsn, stopLsn }: NeededWal): Hole | undefined {
  const [first] = ranges;
  if (first && compareLsn(first.startLsn, startLsn) > 0) return { fromLsn: startLsn, toLsn: first.startLsn };
  return gapsOf(ranges).find((gap) => compareLsn(gap.fromLsn, stopLsn) < 0);
}

/** Until the server has let go of it, a hole is an upload that others overtook; and it lets go when that is stored. */
async function isLost(use: SourceUse, { need, hole }: { need: NeededWal; hole: Hole }): Promise<boolean> {
  if (!(await isGone(use, hole.toLsn))) return false;
  const now = firstHole(await rangesFor(use, need), need);
  return now?.fromLsn === hole.fromLsn;
}

/** True when the server keeps no WAL before `lsn` for us. */
async function isGone(use: SourceUse, lsn: string): Promise<boolean> {
  const { server } = await logOf(use).status(use.vault.wal, use.config.wal);
  if (!server) return false;
  const slots = [server, ...(server.others ?? [])];
  if (!slots.some(({ slotState }) => slotState === 'streaming' || slotState === 'archiving')) return false;
  return slots.every(({ retainedBytes }) => lsnDistanceBytes(lsn, server.flushLsn) >= retainedBytes);
}

function lost(source: string, need: NeededWal, { fromLsn, toLsn }: Hole): Error {
  return failure('Integrity', `WAL that the backup of ${source} needs is lost`, {
    place: `source ${source}, timeline ${need.timeline}`,
    expected: `WAL from ${need.startLsn} to ${need.stopLsn}`,
    found: `a hole from ${fromLsn} to ${toLsn}`,
    hint: `this backup is dropped: lifeboat backup ${source}; raise max_slot_wal_keep_size`,
  });
}

/** Makes the point visible, then removes what other attempts of this run left. */
export function publishPoint(
  deps: Deps,
  { source, point, prefix }: { source: string; point: string; prefix: string },
): Promise<BackupResult> {
  return useSource(deps, source, async (use) => {
    const summary = await use.vault.publish(point);
    await use.vault.discard(`${prefix}-`, point);
    const forecast = await forecastAfter(use, deps);
    return { ...summary, ...(forecast ? { forecast } : {}) };
  });
}

/** The point is good, whatever becomes of its forecast. */
async function forecastAfter(use: SourceUse, { clock }: Deps): Promise<RtoForecast | undefined> {
  try {
    return await forecastRecovery(use, clock.nowMs());
  } catch (error) {
    use.run.signal.throwIfAborted();
    use.run.log.warn('no RTO forecast', { error: findFailure(error)?.message ?? String(error) });
    return undefined;
  }
}

/** Removes what this run wrote and did not publish. */
export function discardDrafts(deps: Deps, { source, prefix }: { source: string; prefix: string }): Promise<void> {
  return useSource(deps, source, async ({ vault }) => {
    await vault.discard(`${prefix}-`);
  });
}
